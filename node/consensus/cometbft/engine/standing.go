// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/libs/protoio"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"
)

// The application holds the time of a proposal against its clock, so it accepts a block now and not in a minute.
// CometBFT takes that verdict for one that never changes. A block that more than two thirds have prevoted is proposed
// again until it is decided, by every proposer who knows of it, and after a standstill every application would refuse
// it for ever. And a vote that was signed but not kept is made again after a restart: with another verdict it would be
// another vote, which the validator's record does not let it sign, and its round would wait for it for ever.
//
// So a refusal does not count for a block that stands: one that this validator's last vote before its start was for,
// or that more than two thirds have prevoted in one round. Of those fewer than a third of all may be faulty, so honest
// validators accepted the block while its time was right.

// stepPropose is the step of a validator's record in which it has signed a proposal and no vote of the round yet.
const stepPropose = 1

// loadValidators gives who validates at a height.
type loadValidators func(height int64) (*types.ValidatorSet, error)

// addresses of validators, each as a string of its bytes.
type addresses map[string]bool

// standing knows which blocks stand. Safe between goroutines.
type standing struct {
	signed signedBlock
	mutex  sync.Mutex
	height int64
	voters map[ballot]addresses // Of the height.
}

// ballot is what is voted on together: a block, by its hash, in a round.
type ballot struct {
	hash  string
	round int32
}

// signedBlock is the block of a validator's last vote before it was started; no hash where there is none.
type signedBlock struct {
	height int64
	hash   []byte
}

// signedBefore reads from a validator's record for which block it voted last. The record is written before the vote is
// made known, and the write-ahead log after it. Where whoever wrote it put no more than a place, nothing is known.
func signedBefore(state privval.FilePVLastSignState) (signedBlock, error) {
	if state.Step <= stepPropose || len(state.SignBytes) == 0 {
		return signedBlock{}, nil
	}
	var vote cmtproto.CanonicalVote
	if err := protoio.UnmarshalDelimited(state.SignBytes, &vote); err != nil {
		return signedBlock{}, fmt.Errorf("cannot read what was signed last: %w", err)
	}
	if vote.BlockID == nil {
		return signedBlock{}, nil
	}
	return signedBlock{vote.Height, vote.BlockID.Hash}, nil
}

// add counts a vote that the engine has verified. Prevotes of the newest height are kept, and nothing else.
func (s *standing) add(vote *types.Vote) {
	if vote.Type != cmtproto.PrevoteType || vote.BlockID.IsZero() {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if vote.Height < s.height {
		return
	}
	if vote.Height > s.height || s.voters == nil {
		s.height, s.voters = vote.Height, map[ballot]addresses{}
	}
	on := ballot{string(vote.BlockID.Hash), vote.Round}
	if s.voters[on] == nil {
		s.voters[on] = addresses{}
	}
	s.voters[on][string(vote.ValidatorAddress)] = true
}

// follow counts every vote that comes until its subscription ends. One that comes too late for a proposal counts for
// the next, which is of the same block.
func (s *standing) follow(votes types.Subscription) {
	for {
		select {
		case message := <-votes.Out():
			if event, ok := message.Data().(types.EventDataVote); ok {
				s.add(event.Vote)
			}
		case <-votes.Canceled():
			return
		}
	}
}

// votersOf gives who prevoted a block, round by round.
func (s *standing) votersOf(height int64, hash []byte) []addresses {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.height != height {
		return nil
	}
	var rounds []addresses
	for on, voters := range s.voters {
		if on.hash == string(hash) {
			rounds = append(rounds, maps.Clone(voters))
		}
	}
	return rounds
}

// why says for what reason a block stands; empty where it does not.
func (s *standing) why(height int64, hash []byte, load loadValidators) (string, error) {
	if s.signed.height == height && bytes.Equal(s.signed.hash, hash) {
		return "this validator voted for it before its start", nil
	}
	rounds := s.votersOf(height, hash)
	if len(rounds) == 0 {
		return "", nil
	}
	validators, err := load(height)
	if err != nil {
		return "", err
	}
	for _, voters := range rounds {
		var power int64
		for address := range voters {
			if _, validator := validators.GetByAddress([]byte(address)); validator != nil {
				power += validator.VotingPower
			}
		}
		if power > validators.TotalVotingPower()*2/3 {
			return "more than two thirds have prevoted it", nil
		}
	}
	return "", nil
}

// creator makes clients of the application whose refusals do not count for a block that stands.
type creator struct {
	proxy.ClientCreator
	standing *standing
	load     loadValidators // Set before the first proposal can come.
	logger   log.Logger
}

func (c *creator) NewABCIClient() (abcicli.Client, error) {
	made, err := c.ClientCreator.NewABCIClient()
	if err != nil {
		return nil, err
	}
	return &client{made, c}, nil
}

type client struct {
	abcicli.Client
	creator *creator
}

// ProcessProposal asks the application, and asks no further where it does not refuse.
func (c *client) ProcessProposal(
	ctx context.Context, request *abci.RequestProcessProposal,
) (*abci.ResponseProcessProposal, error) {
	response, err := c.Client.ProcessProposal(ctx, request)
	if err != nil || response.Status != abci.ResponseProcessProposal_REJECT {
		return response, err
	}
	made := c.creator
	reason, err := made.standing.why(request.Height, request.Hash, made.load)
	switch {
	case err != nil:
		made.logger.Error("proposal not compared with the votes", "height", request.Height, "err", err)
	case reason != "":
		hash := log.NewLazySprintf("%X", request.Hash)
		made.logger.Info("proposal stands", "height", request.Height, "hash", hash, "reason", reason)
		response.Status = abci.ResponseProcessProposal_ACCEPT
	}
	return response, nil
}
