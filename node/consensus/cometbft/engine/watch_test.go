// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"
)

// fakeNetwork is a network of names. Peers in silent get no verdict.
type fakeNetwork struct {
	mutex            sync.Mutex
	peers            []p2p.ID
	absent           []string
	refused, silent  []p2p.ID
	dropped, dialled []string
}

func (net *fakeNetwork) connected() []p2p.ID {
	net.mutex.Lock()
	defer net.mutex.Unlock()
	return slices.Clone(net.peers)
}

func (net *fakeNetwork) missing() []string { return net.absent }

func (net *fakeNetwork) isRefused(_ context.Context, id p2p.ID) (bool, error) {
	net.mutex.Lock()
	defer net.mutex.Unlock()
	if slices.Contains(net.silent, id) {
		return true, errors.New("no answer")
	}
	return slices.Contains(net.refused, id), nil
}

func (net *fakeNetwork) drop(id p2p.ID) {
	net.mutex.Lock()
	defer net.mutex.Unlock()
	net.dropped = append(net.dropped, string(id))
	net.peers = slices.DeleteFunc(net.peers, func(one p2p.ID) bool { return one == id })
}

func (net *fakeNetwork) dial(addresses []string) error {
	net.dialled = append(net.dialled, addresses...)
	return nil
}

func (net *fakeNetwork) revoke(id p2p.ID) {
	net.mutex.Lock()
	defer net.mutex.Unlock()
	net.refused = append(net.refused, id)
}

func expect(t *testing.T, what string, found []string, wanted ...string) {
	t.Helper()
	if !slices.Equal(found, wanted) {
		t.Errorf("%s: found %v, wanted %v", what, found, wanted)
	}
}

func TestARevokedPeerIsDroppedAndTheOthersStay(t *testing.T) {
	net := &fakeNetwork{peers: []p2p.ID{"alpha", "beta", "gamma"}, refused: []p2p.ID{"beta"}}
	var lines bytes.Buffer
	dropRevoked(context.Background(), net, log.NewTMJSONLogger(&lines))
	expect(t, "dropped", net.dropped, "beta")
	if count := strings.Count(lines.String(), "\n"); count != 1 || !strings.Contains(lines.String(), `"peer":"beta"`) {
		t.Errorf("logged %q", lines.String())
	}
}

func TestAPeerIsNotDroppedWhereTheApplicationGivesNoAnswer(t *testing.T) {
	net := &fakeNetwork{peers: []p2p.ID{"alpha"}, silent: []p2p.ID{"alpha"}}
	dropRevoked(context.Background(), net, log.NewNopLogger())
	expect(t, "dropped", net.dropped)
}

func TestMissingMembersAreDialledAndRevokedOnesAreNot(t *testing.T) {
	net := &fakeNetwork{
		absent:  []string{"alpha@host:1", "beta@host:2", "gamma@host:3"},
		refused: []p2p.ID{"beta"},
		silent:  []p2p.ID{"gamma"},
	}
	dialMissing(context.Background(), net, log.NewNopLogger())
	expect(t, "dialled", net.dialled, "alpha@host:1")
}

func TestTheWatchDropsAPeerThatIsRevokedWhileItIsConnectedAndEndsWithItsContext(t *testing.T) {
	net := &fakeNetwork{peers: []p2p.ID{"alpha", "beta"}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(ctx, net, log.NewNopLogger(), time.Millisecond)
	}()
	net.revoke("alpha")
	deadline := time.Now().Add(5 * time.Second)
	for len(net.connected()) == 2 {
		if time.Now().After(deadline) {
			t.Fatal("the revoked peer is still connected")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	expect(t, "dropped", net.dropped, "alpha")
}
