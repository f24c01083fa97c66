// SPDX-License-Identifier: Apache-2.0

// Command hello is what the lab's image of that name runs: a small server to look at a pod from outside. It says hello over
// HTTP on port 8080, and over gRPC on port 9090 whether it is well: while there is no file /tmp/sick. It writes a line
// for each request to /, and one when it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// sick is the file that makes the program unwell.
const sick = "/tmp/sick"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "hello: %v\n", err)
		os.Exit(1)
	}
	fmt.Println("bye")
}

// run serves until ctx ends.
func run(ctx context.Context) error {
	var config net.ListenConfig
	web, err := config.Listen(ctx, "tcp", ":8080")
	if err != nil {
		return err
	}
	health, err := config.Listen(ctx, "tcp", ":9090")
	if err != nil {
		return errors.Join(err, web.Close())
	}
	server := &http.Server{Handler: routes()}
	probes := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(probes, prober{})
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(web) }()
	go func() { ended <- probes.Serve(health) }()
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	probes.Stop()
	return errors.Join(err, server.Close())
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		host, _ := os.Hostname() // an empty name says enough
		fmt.Printf("hello to %s\n", r.RemoteAddr)
		fmt.Fprintf(w, "hello from %s\n", host)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !well() {
			http.Error(w, sick+" is there", http.StatusServiceUnavailable)
		}
	})
	return mux
}

func well() bool {
	_, err := os.Stat(sick)
	return err != nil
}

// prober answers as https://github.com/grpc/grpc/blob/master/doc/health-checking.md says. It knows no service but the whole.
type prober struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (prober) Check(_ context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	switch {
	case request.GetService() != "":
		return nil, status.Errorf(codes.NotFound, "unknown service %q", request.GetService())
	case well():
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
	default:
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
}
