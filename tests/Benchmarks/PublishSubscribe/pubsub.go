// Ints from one publisher to four subscribers, a channel of 1,024 for each. Prints the sum of all that was received and the microseconds.
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
	const subscribers = 4
	start := time.Now()
	channels := make([]chan int32, subscribers)
	sums := make(chan int64)
	for i := range channels {
		channels[i] = make(chan int32, 1024)
		go func(in <-chan int32) {
			sum := int64(0)
			for x := range in {
				sum += int64(x)
			}
			sums <- sum
		}(channels[i])
	}
	for i := 0; i < n; i++ {
		for _, channel := range channels {
			channel <- int32(i)
		}
	}
	total := int64(0)
	for _, channel := range channels {
		close(channel)
	}
	for range channels {
		total += <-sums
	}
	fmt.Print(total, " ", time.Since(start).Microseconds())
}
