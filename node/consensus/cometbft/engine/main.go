// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

// Command corridor-engine is the consensus engine of a Corridor node: CometBFT, with three things beside it.
// Members that lose their admission are disconnected while they are connected, and members that are missing
// are dialled for as long as they are missing; a block that stands by its votes is not refused any more; and
// the engine ends with the process that started it.
//
//	corridor-engine version                          one line of JSON
//	corridor-engine start --home DIR [--with-parent] runs until SIGTERM or SIGINT
//
// What it does is told by DIR/config/config.toml and nothing else: no environment variable changes it, and no
// key, state or configuration that is missing is made up. It logs JSON to standard output.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
)

const (
	name        = "corridor-engine"
	cometbft    = "github.com/cometbft/cometbft"
	exitFailed  = 1
	exitMisused = 2
)

var errMisused = errors.New("usage: " + name + " version | " + name + " start --home DIR [--with-parent]")

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, errMisused):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitMisused)
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(exitFailed)
	}
}

func run(arguments []string, output io.Writer) error {
	if len(arguments) == 0 {
		return errMisused
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "version":
		if len(rest) > 0 {
			return errMisused
		}
		return printVersion(output)
	case "start":
		flags := flag.NewFlagSet(command, flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		home := flags.String("home", "", "directory of configuration, keys and chain")
		withParent := flags.Bool("with-parent", false, "end when standard input is closed")
		if err := flags.Parse(rest); err != nil || flags.NArg() > 0 || *home == "" {
			return errMisused
		}
		var parent io.Reader
		if *withParent {
			parent = os.Stdin
		}
		return start(*home, parent, output)
	default:
		return errMisused
	}
}

// printVersion says what is linked, as the build recorded it: CometBFT v0.40.0 calls itself 0.39.0.
func printVersion(output io.Writer) error {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("the build recorded no modules")
	}
	version, err := linkedVersion(build, cometbft)
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(struct {
		Engine   string `json:"engine"`
		CometBFT string `json:"cometbft"`
		Go       string `json:"go"`
	}{name, version, runtime.Version()})
}

// linkedVersion is the version of a module, marked where other sources stand in its place.
func linkedVersion(build *debug.BuildInfo, path string) (string, error) {
	for _, module := range build.Deps {
		switch {
		case module.Path != path:
		case module.Replace != nil:
			return module.Version + "+replaced", nil
		default:
			return module.Version, nil
		}
	}
	return "", fmt.Errorf("%s is not linked", path)
}
