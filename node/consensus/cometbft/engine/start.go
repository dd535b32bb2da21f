// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	cmtflags "github.com/cometbft/cometbft/libs/cli/flags"
	"github.com/cometbft/cometbft/libs/log"
	nm "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"
	"github.com/spf13/viper"
)

// stopTimeMax bounds an orderly end. What is lost beyond it is what SIGKILL loses: nothing that was promised.
const stopTimeMax = 8 * time.Second

// start runs a node until it is told to end. A parent is read to its end, and its end is ours.
func start(home string, parent io.Reader, output io.Writer) error {
	ending := make(chan os.Signal, 2)
	signal.Notify(ending, syscall.SIGTERM, os.Interrupt)
	if parent != nil {
		go func() {
			_, _ = io.Copy(io.Discard, parent)
			ending <- syscall.SIGTERM
		}()
	}
	config, err := loadConfig(home)
	if err != nil {
		return err
	}
	logger, err := newLogger(config, output)
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	var node *nm.Node
	go func() {
		var err error
		if node, err = newNode(config, logger); err == nil {
			// This process alone holds the chain's files now: such sockets were left by one that was killed.
			removeSockets(config.RPC.ListenAddress)
			err = node.Start()
		}
		started <- err
	}()
	select {
	case <-ending:
		return nil // Before it has started there is nothing to put in order.
	case err := <-started:
		if err != nil {
			return err
		}
	}
	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	if config.FilterPeers {
		go watch(watching, newNetwork(node, config.P2P), logger.With("module", "members"), watchInterval)
	}
	<-ending
	stopWatching()
	return stop(node)
}

// loadConfig reads the configuration file of a home directory over CometBFT's defaults.
func loadConfig(home string) (*cfg.Config, error) {
	reader := viper.New()
	reader.SetConfigFile(filepath.Join(home, cfg.DefaultConfigDir, cfg.DefaultConfigFileName))
	if err := reader.ReadInConfig(); err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	config := cfg.DefaultConfig()
	if err := reader.UnmarshalExact(config); err != nil {
		return nil, fmt.Errorf("invalid configuration: %w", err)
	}
	config.SetRoot(home)
	if err := config.ValidateBasic(); err != nil {
		return nil, fmt.Errorf("invalid configuration: %w", err)
	}
	return config, nil
}

func newLogger(config *cfg.Config, output io.Writer) (log.Logger, error) {
	logger := log.NewTMJSONLogger(log.NewSyncWriter(output))
	return cmtflags.ParseLogLevel(config.LogLevel, logger, cfg.DefaultLogLevel)
}

// newNode is node.DefaultNewNode, except that keys that are missing are an error, and that a block which stands is
// not refused (see standing).
func newNode(config *cfg.Config, logger log.Logger) (*nm.Node, error) {
	nodeKey, err := p2p.LoadNodeKey(config.NodeKeyFile())
	if err != nil {
		return nil, fmt.Errorf("cannot read the node key: %w", err)
	}
	blocks, ours := &standing{}, logger.With("module", "proposals")
	var validator types.PrivValidator // A remote signer takes its place, and does not tell what it signed.
	if config.PrivValidatorListenAddr == "" {
		file := privval.LoadFilePV(config.PrivValidatorKeyFile(), config.PrivValidatorStateFile())
		if blocks.signed, err = signedBefore(file.LastSignState); err != nil {
			ours.Error("the validator's record does not tell its last vote", "err", err)
		}
		validator = file
	}
	clients := &creator{
		ClientCreator: proxy.DefaultClientCreator(config.ProxyApp, config.ABCI, config.DBDir()),
		standing:      blocks,
		logger:        ours,
	}
	node, err := nm.NewNode(
		config,
		validator,
		nodeKey,
		clients,
		nm.DefaultGenesisDocProviderFunc(config),
		cfg.DefaultDBProvider,
		nm.DefaultMetricsProvider(config.Instrumentation),
		logger,
	)
	if err != nil {
		return nil, err
	}
	// Nothing votes before the node is started. A buffered subscription would end where it is too slow.
	environment, err := node.ConfigureRPC()
	if err != nil {
		return nil, err
	}
	clients.load = environment.StateStore.LoadValidators
	votes, err := node.EventBus().SubscribeUnbuffered(context.Background(), name, types.EventQueryVote)
	if err != nil {
		return nil, err
	}
	go blocks.follow(votes)
	return node, nil
}

// removeSockets removes the sockets among the addresses to listen on: a file that is there cannot be bound.
func removeSockets(addresses string) {
	for _, address := range splitList(addresses) {
		path, isLocal := strings.CutPrefix(address, "unix://")
		if found, err := os.Lstat(path); isLocal && err == nil && found.Mode().Type() == os.ModeSocket {
			_ = os.Remove(path) // Where it stays, listening says why.
		}
	}
}

// splitList takes a list of a configuration apart, as CometBFT does.
func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func stop(node *nm.Node) error {
	stopped := make(chan error, 1)
	go func() { stopped <- node.Stop() }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(stopTimeMax):
		return errors.New("the node did not stop in time")
	}
}
