// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/libs/log"
	nm "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
)

// watchInterval is the time between two looks at the members: a revoked one is gone after two at most.
const watchInterval = 2 * time.Second

// network is what the watch sees of the node and does to it.
type network interface {
	// connected gives the ids of the peers that are connected.
	connected() []p2p.ID
	// missing gives the addresses of the configured peers that are neither connected nor being dialled.
	missing() []string
	// isRefused gives the application's verdict on a peer.
	isRefused(ctx context.Context, id p2p.ID) (bool, error)
	// drop disconnects a peer.
	drop(id p2p.ID)
	// dial connects to peers, later.
	dial(addresses []string) error
}

// watch keeps the connections in step with the membership until its context ends. CometBFT asks the application
// about a peer only when it connects, and after a while of trying in vain dials a peer once in hours or not at all.
func watch(ctx context.Context, net network, logger log.Logger, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			dropRevoked(ctx, net, logger)
			dialMissing(ctx, net, logger)
		}
	}
}

// dropRevoked disconnects every peer that the application refuses. No answer is no refusal.
func dropRevoked(ctx context.Context, net network, logger log.Logger) {
	for _, id := range net.connected() {
		refused, err := net.isRefused(ctx, id)
		switch {
		case err != nil:
			logger.Error("member not checked", "peer", id, "err", err)
		case refused:
			net.drop(id)
			logger.Info("member dropped", "peer", id)
		}
	}
}

// dialMissing dials the configured peers that are not connected, unless the application refuses them.
func dialMissing(ctx context.Context, net network, logger log.Logger) {
	var wanted []string
	for _, address := range net.missing() {
		id, _, _ := strings.Cut(address, "@")
		if refused, err := net.isRefused(ctx, p2p.ID(id)); err == nil && !refused {
			wanted = append(wanted, address)
		}
	}
	if len(wanted) == 0 {
		return
	}
	if err := net.dial(wanted); err != nil {
		logger.Error("members not dialled", "err", err)
	}
}

// cometNetwork is the network of a running node.
type cometNetwork struct {
	node       *nm.Node
	configured []string
}

func newNetwork(node *nm.Node, config *cfg.P2PConfig) *cometNetwork {
	return &cometNetwork{node, splitList(config.PersistentPeers)}
}

func (net *cometNetwork) connected() []p2p.ID {
	var ids []p2p.ID
	net.node.Switch().Peers().ForEach(func(peer p2p.Peer) { ids = append(ids, peer.ID()) })
	return ids
}

func (net *cometNetwork) missing() []string {
	var addresses []string
	for _, address := range net.configured {
		parsed, err := p2p.NewNetAddressString(address)
		// A name that cannot be resolved just now is left to the next look.
		if err != nil || parsed.ID == net.node.NodeInfo().ID() || net.node.Switch().IsDialingOrExistingAddress(parsed) {
			continue
		}
		addresses = append(addresses, address)
	}
	return addresses
}

func (net *cometNetwork) isRefused(ctx context.Context, id p2p.ID) (bool, error) {
	question := &abci.RequestQuery{Path: fmt.Sprintf("/p2p/filter/id/%s", id)}
	answer, err := net.node.ProxyApp().Query().Query(ctx, question)
	if err != nil {
		return false, err
	}
	if answer == nil {
		return false, errors.New("the application gave no answer")
	}
	return answer.IsErr(), nil
}

func (net *cometNetwork) drop(id p2p.ID) {
	if peer := net.node.Switch().Peers().Get(id); peer != nil {
		net.node.Switch().StopPeerGracefully(peer)
	}
}

func (net *cometNetwork) dial(addresses []string) error {
	return net.node.Switch().DialPeersAsync(addresses)
}
