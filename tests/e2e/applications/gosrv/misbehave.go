package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// misbehave returns only if this version serves, and be it for a while.
func misbehave(listen net.Listener) {
	fault, after, _ := strings.Cut(fault, " ")
	delay, _ := time.ParseDuration(after)
	switch fault {
	case "exits": // at once
		die("cannot read the configuration")
	case "quits": // before it serves
		time.Sleep(300 * time.Millisecond)
		die("cannot reach the database")
	case "hangs": // at the start
		time.Sleep(time.Hour)
	case "fails": // whatever it is asked
		_ = http.Serve(listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, version+" is broken", http.StatusInternalServerError)
		}))
	case "mute", "deaf": // accepts, and never answers; nor can the other be asked to end
		if fault == "deaf" {
			signal.Ignore(syscall.SIGTERM)
		}
		for waiting := []net.Conn{}; ; {
			conn, err := listen.Accept()
			if err != nil {
				die(err.Error())
			}
			waiting = append(waiting, conn) // or it would be closed when nobody knows it any more
		}
	case "dies": // in a while, of the traffic that no preflight has
		if os.Getenv("DEWY_PREFLIGHT") == "" {
			time.AfterFunc(delay, func() { die("out of luck") })
		}
	case "sours": // the same, and it does not die of it
		if os.Getenv("DEWY_PREFLIGHT") == "" {
			sour := time.Now().Add(delay)
			_ = http.Serve(listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if time.Now().After(sour) {
					w.WriteHeader(http.StatusInternalServerError)
				}
				fmt.Fprintf(w, "%s\n", version)
			}))
		}
	case "spoils": // when what it needs is gone, which it takes a while to notice
		if _, err := os.Stat("needed"); err != nil {
			time.Sleep(delay)
			die(err.Error())
		}
	}
}

func die(why string) {
	fmt.Fprintln(os.Stderr, "fatal:", why)
	os.Exit(7)
}
