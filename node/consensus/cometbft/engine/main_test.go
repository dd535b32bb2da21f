// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestAnUnknownCommandShowsTheUsage(t *testing.T) {
	for _, arguments := range [][]string{
		{}, {"stop"}, {"version", "now"}, {"start"}, {"start", "--home"}, {"start", "--home", "x", "y"},
	} {
		if err := run(arguments, &bytes.Buffer{}); !errors.Is(err, errMisused) {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}

func TestTheVersionIsThatOfTheLinkedModuleAndAReplacementShows(t *testing.T) {
	module := &debug.Module{Path: cometbft, Version: "v0.40.0"}
	build := &debug.BuildInfo{Deps: []*debug.Module{{Path: "other", Version: "v1.0.0"}, module}}
	if version, err := linkedVersion(build, cometbft); err != nil || version != "v0.40.0" {
		t.Errorf("%q, %v", version, err)
	}
	module.Replace = &debug.Module{Path: "fork", Version: "v0.40.0"}
	if version, _ := linkedVersion(build, cometbft); version != "v0.40.0+replaced" {
		t.Errorf("%q", version)
	}
	if _, err := linkedVersion(&debug.BuildInfo{}, cometbft); err == nil {
		t.Error("a module that is not linked has a version")
	}
}

func TestNothingIsMadeUpInAHomeThatIsEmpty(t *testing.T) {
	home := t.TempDir()
	if err := start(home, nil, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "configuration") {
		t.Errorf("%v", err)
	}
	configuration := filepath.Join(home, "config")
	if err := os.Mkdir(configuration, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(configuration, "config.toml"), []byte("filter_peers = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(home, nil, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "node key") {
		t.Errorf("%v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(home, "*", "*")); len(found) != 1 {
		t.Errorf("made %v", found)
	}
}

func TestASettingThatIsUnknownIsRefused(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := []byte("[p2p]\npersistent_peer = \"x\"\n")
	if err := os.WriteFile(filepath.Join(home, "config", "config.toml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(home); err == nil || !strings.Contains(err.Error(), "persistent_peer") {
		t.Errorf("%v", err)
	}
}

func TestASocketThatWasLeftIsRemovedAndNothingElse(t *testing.T) {
	folder := t.TempDir()
	left, file := filepath.Join(folder, "left.sock"), filepath.Join(folder, "file")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: left})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	removeSockets("unix://" + left + ", unix://" + file + ",tcp://127.0.0.1:0")
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("the file: %v", err)
	}
}
