// Three posters with a chan of 4,096 each, and one loop that selects over them. Prints the sum of the events and the microseconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	start := time.Now()
	var sources [3]chan int32
	for p := range sources {
		sources[p] = make(chan int32, 4096)
		go func(p int) {
			for e := p; e < n; e += 3 {
				sources[p] <- int32(e)
			}
		}(p)
	}
	a, b, c := sources[0], sources[1], sources[2]
	total := int64(0)
	for i := 0; i < n; i++ {
		select {
		case e := <-a:
			total += int64(e)
		case e := <-b:
			total += int64(e)
		case e := <-c:
			total += int64(e)
		}
	}
	fmt.Print(total, " ", time.Since(start).Microseconds())
}
