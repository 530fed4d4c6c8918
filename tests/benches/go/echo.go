// The echo server in Go. It prints its port and its process, and serves until it is ended.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

const patience = 30 * time.Second

func main() {
	deadlines := os.Args[1] == "true"
	room, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port, os.Getpid())
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go echo(conn, deadlines, room)
	}
}

func echo(conn net.Conn, deadlines bool, room int) {
	defer conn.Close()
	buffer := make([]byte, room)
	for {
		if deadlines {
			conn.SetReadDeadline(time.Now().Add(patience))
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if deadlines {
			conn.SetWriteDeadline(time.Now().Add(patience))
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}
