// 64 callers submit jobs to 2 workers over a channel of 1,024 and wait for each result. Prints the sum of the results and the microseconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const callers = 64

type job struct {
	x      int32
	result chan int32
}

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	start := time.Now()
	jobs := make(chan job, 1024)
	for w := 0; w < 2; w++ {
		go func() {
			for j := range jobs {
				j.result <- j.x + 1
			}
		}()
	}
	sums := make([]int64, callers)
	var done sync.WaitGroup
	for c := 0; c < callers; c++ {
		done.Add(1)
		go func(c int) {
			defer done.Done()
			result := make(chan int32, 1)
			sum := int64(0)
			for i := c; i < n; i += callers {
				jobs <- job{int32(i), result}
				sum += int64(<-result)
			}
			sums[c] = sum
		}(c)
	}
	done.Wait()
	close(jobs)
	total := int64(0)
	for _, sum := range sums {
		total += sum
	}
	fmt.Print(total, " ", time.Since(start).Microseconds())
}
