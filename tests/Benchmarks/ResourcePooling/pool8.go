// Goroutines take one of eight resources out of a buffered channel and put it back. Prints the loans and the microseconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const callers = 8

type thing struct{ users int32 }

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	idle := make(chan *thing, 8)
	for i := 0; i < 8; i++ {
		idle <- &thing{}
	}
	start := time.Now()
	var done sync.WaitGroup
	for c := 0; c < callers; c++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := 0; i < n/callers; i++ {
				t := <-idle
				t.users++
				t.users--
				idle <- t
			}
		}()
	}
	done.Wait()
	fmt.Print(n/callers*callers, " ", time.Since(start).Microseconds())
}
