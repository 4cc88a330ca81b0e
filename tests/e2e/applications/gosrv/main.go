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
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// In a release another text of the same length is written over this one, in the built program. A second word says how this
// version is broken: see misbehave.go.
var version, fault, _ = strings.Cut(strings.TrimSpace("the-version-of-this-server"), " ")

func listener() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != "1" {
		return nil, fmt.Errorf("no socket was handed over")
	}
	return net.FileListener(os.NewFile(3, "listener"))
}

// sayReady speaks sd_notify, if it is to.
func sayReady() {
	if os.Getenv("SAYS_READY") == "" {
		return
	}
	if socket, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		_, _ = socket.Write([]byte("READY=1"))
		_ = socket.Close()
	}
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
	misbehave(listen)
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
	var open atomic.Int64
	count := func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	sayReady()
	server := &http.Server{Handler: http.HandlerFunc(answer), ConnState: count}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(listen)
		close(served)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	draining.Store(true)
	_ = listen.Close()
	<-served // every connection that was accepted is counted
	// Kept connections learn of it with their next answer; one that asks for nothing more is hung up on after a while.
	for patience := time.Now().Add(5 * time.Second); open.Load() > 0 && time.Now().Before(patience); {
		time.Sleep(5 * time.Millisecond)
	}
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(limit)
}
