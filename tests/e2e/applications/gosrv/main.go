// A small real server in Go, released as an archive: it takes the socket that dewy hands it, answers with its version,
// and drains at SIGTERM as a polite server does.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

var version = "unset" // set by the linker

func listener() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != "1" {
		return nil, fmt.Errorf("no socket was handed over")
	}
	return net.FileListener(os.NewFile(3, "listener"))
}

func main() {
	if version == "broken" {
		fmt.Fprintln(os.Stderr, "fatal: cannot read the configuration")
		os.Exit(3)
	}
	listen, err := listener()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(1)
	}
	var draining atomic.Bool
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(200 * time.Millisecond)
		}
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %d %s\n", version, os.Getpid(), os.Getenv("DEWY_VERSION"))
	}
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	go func() { _ = server.Serve(listen) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	draining.Store(true)
	_ = listen.Close()
	time.Sleep(700 * time.Millisecond) // kept connections learn of it with their next answer
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(limit)
}
