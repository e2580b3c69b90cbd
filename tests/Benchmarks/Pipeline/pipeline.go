// Ints through three stages: a goroutine a stage, a channel of 1,024 between two. Prints the sum and the microseconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func stage(in <-chan int32, transform func(int32) int32) <-chan int32 {
	out := make(chan int32, 1024)
	go func() {
		for x := range in {
			out <- transform(x)
		}
		close(out)
	}()
	return out
}

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	start := time.Now()
	source := make(chan int32, 1024)
	go func() {
		for i := 0; i < n; i++ {
			source <- int32(i)
		}
		close(source)
	}()
	last := stage(stage(stage(source,
		func(x int32) int32 { return x * 3 }),
		func(x int32) int32 { return x + 1 }),
		func(x int32) int32 { return x ^ (x >> 3) })
	sum := int64(0)
	for x := range last {
		sum += int64(x)
	}
	fmt.Print(sum, " ", time.Since(start).Microseconds())
}
