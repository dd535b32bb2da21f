// Copyright 2026 the Corridor authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

const (
	chain  = "chain"
	height = 7
)

var (
	theBlock   = bytes.Repeat([]byte{1}, 32)
	otherBlock = bytes.Repeat([]byte{2}, 32)
)

func blockID(hash []byte) types.BlockID {
	if hash == nil {
		return types.BlockID{}
	}
	return types.BlockID{Hash: hash, PartSetHeader: types.PartSetHeader{Total: 1, Hash: hash}}
}

// validatorsOf makes validators with these powers; their addresses come in the same order.
func validatorsOf(powers ...int64) (loadValidators, [][]byte) {
	made := make([]*types.Validator, len(powers))
	addresses := make([][]byte, len(powers))
	for place, power := range powers {
		made[place] = types.NewValidator(types.NewMockPV().PrivKey.PubKey(), power)
		addresses[place] = made[place].Address
	}
	set := types.NewValidatorSet(made)
	return func(int64) (*types.ValidatorSet, error) { return set, nil }, addresses
}

// nobodyAsks fails the test where somebody asks who validates.
func nobodyAsks(t *testing.T) loadValidators {
	return func(int64) (*types.ValidatorSet, error) {
		t.Error("the validators were asked for")
		return nil, errors.New("asked")
	}
}

func prevote(address []byte, height int64, round int32, hash []byte) *types.Vote {
	return &types.Vote{
		Type: cmtproto.PrevoteType, Height: height, Round: round, BlockID: blockID(hash), ValidatorAddress: address,
	}
}

func TestABlockStandsByPrevotesOfOneRound(t *testing.T) {
	load, four := validatorsOf(10, 10, 10, 10)
	stranger := bytes.Repeat([]byte{9}, 20)
	precommit := prevote(four[2], height, 0, theBlock)
	precommit.Type = cmtproto.PrecommitType
	for what, third := range map[string]*types.Vote{
		"the same voter":  prevote(four[1], height, 0, theBlock),
		"another round":   prevote(four[2], height, 1, theBlock),
		"another block":   prevote(four[2], height, 0, otherBlock),
		"no block":        prevote(four[2], height, 0, nil),
		"no validator":    prevote(stranger, height, 0, theBlock),
		"a height before": prevote(four[2], height-1, 0, theBlock),
		"a precommit":     precommit,
		"":                prevote(four[2], height, 0, theBlock),
	} {
		votes := &standing{}
		votes.add(prevote(four[0], height, 0, theBlock))
		votes.add(prevote(four[1], height, 0, theBlock))
		votes.add(third)
		why, err := votes.why(height, theBlock, load)
		if err != nil || (why != "") != (what == "") {
			t.Errorf("%s: %q, %v", what, why, err)
		}
		for _, question := range []struct {
			height int64
			hash   []byte
		}{{height + 1, theBlock}, {height - 1, theBlock}, {height, nil}} {
			if why, err := votes.why(question.height, question.hash, nobodyAsks(t)); err != nil || why != "" {
				t.Errorf("%s, asked for %v: %q, %v", what, question, why, err)
			}
		}
		votes.add(prevote(four[0], height+1, 0, theBlock))
		if why, _ := votes.why(height, theBlock, nobodyAsks(t)); why != "" {
			t.Errorf("votes of a height that is over are kept: %q", why)
		}
	}
}

func TestABlockStandsByMoreThanTwoThirdsOfThePower(t *testing.T) {
	for _, one := range []struct {
		powers []int64
		voting []int
		stands bool
	}{
		{[]int64{10, 10, 10}, []int{0, 1}, false}, // Two thirds are not enough.
		{[]int64{10, 10, 10}, []int{0, 1, 2}, true},
		{[]int64{40, 10, 10, 10}, []int{1, 2, 3}, false},
		{[]int64{40, 10, 10, 10}, []int{0}, false},
		{[]int64{40, 10, 10, 10}, []int{0, 3}, true},
		{[]int64{1}, []int{0}, true},
	} {
		load, addresses := validatorsOf(one.powers...)
		votes := &standing{}
		for _, place := range one.voting {
			votes.add(prevote(addresses[place], height, 0, theBlock))
		}
		if why, err := votes.why(height, theBlock, load); err != nil || (why != "") != one.stands {
			t.Errorf("%v: %q, %v", one, why, err)
		}
	}
}

func TestABlockStandsThatTheValidatorVotedForBeforeItWasStarted(t *testing.T) {
	vote := prevote(nil, height, 3, theBlock)
	none := prevote(nil, height, 3, nil)
	proposal := types.NewProposal(height, 3, 0, blockID(theBlock))
	for _, one := range []struct {
		step  int8
		bytes []byte
		hash  []byte
	}{
		{0, nil, nil},
		{3, nil, nil}, // Written by hand, to keep a validator from heights that another may have signed.
		{1, types.ProposalSignBytes(chain, proposal.ToProto()), nil},
		{2, types.VoteSignBytes(chain, vote.ToProto()), theBlock},
		{3, types.VoteSignBytes(chain, vote.ToProto()), theBlock},
		{2, types.VoteSignBytes(chain, none.ToProto()), nil},
	} {
		state := privval.FilePVLastSignState{Height: height, Round: 3, Step: one.step, SignBytes: one.bytes}
		signed, err := signedBefore(state)
		if err != nil || !bytes.Equal(signed.hash, one.hash) || (one.hash != nil && signed.height != height) {
			t.Errorf("step %d: %v, %v", one.step, signed, err)
		}
		votes := &standing{signed: signed}
		for _, found := range []struct {
			height int64
			hash   []byte
			stands bool
		}{{height, theBlock, one.hash != nil}, {height + 1, theBlock, false}, {height, otherBlock, false}} {
			if why, err := votes.why(found.height, found.hash, nobodyAsks(t)); err != nil || (why != "") != found.stands {
				t.Errorf("step %d, %v: %q, %v", one.step, found, why, err)
			}
		}
	}
	damaged := privval.FilePVLastSignState{Height: height, Step: 2, SignBytes: []byte("x")}
	if _, err := signedBefore(damaged); err == nil || !strings.Contains(err.Error(), "signed last") {
		t.Errorf("%v", err)
	}
}

// verdict is an application that says the same of every proposal.
type verdict struct {
	abcicli.Client
	status abci.ResponseProcessProposal_ProposalStatus
	err    error
}

func (v *verdict) ProcessProposal(
	context.Context, *abci.RequestProcessProposal,
) (*abci.ResponseProcessProposal, error) {
	return &abci.ResponseProcessProposal{Status: v.status}, v.err
}

func (v *verdict) NewABCIClient() (abcicli.Client, error) { return v, v.err }

func TestARefusalCountsUnlessTheBlockStands(t *testing.T) {
	const accept, reject = abci.ResponseProcessProposal_ACCEPT, abci.ResponseProcessProposal_REJECT
	const unknown = abci.ResponseProcessProposal_UNKNOWN
	known, four := validatorsOf(10, 10, 10, 10)
	votes := &standing{}
	for _, address := range four[:3] {
		votes.add(prevote(address, height, 0, theBlock))
	}
	lost := func(int64) (*types.ValidatorSet, error) { return nil, errors.New("no such height") }
	for _, one := range []struct {
		said, heard abci.ResponseProcessProposal_ProposalStatus
		hash        []byte
		load        loadValidators
	}{
		{accept, accept, theBlock, nobodyAsks(t)},
		{unknown, unknown, theBlock, nobodyAsks(t)},
		{reject, accept, theBlock, known},
		{reject, reject, otherBlock, nobodyAsks(t)},
		{reject, reject, theBlock, lost},
	} {
		clients := &creator{ClientCreator: &verdict{status: one.said}, standing: votes, load: one.load, logger: log.NewNopLogger()}
		made, err := clients.NewABCIClient()
		if err != nil {
			t.Fatal(err)
		}
		question := &abci.RequestProcessProposal{Height: height, Hash: one.hash}
		answer, err := made.ProcessProposal(context.Background(), question)
		if err != nil || answer.Status != one.heard {
			t.Errorf("%v of %X: %v, %v", one.said, one.hash[:1], answer, err)
		}
	}
	broken := errors.New("broken")
	if _, err := (&creator{ClientCreator: &verdict{err: broken}}).NewABCIClient(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	failing := &client{&verdict{status: reject, err: broken}, &creator{standing: votes, load: known}}
	if _, err := failing.ProcessProposal(context.Background(), &abci.RequestProcessProposal{Height: height, Hash: theBlock}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestEveryVoteOfTheEngineIsCounted(t *testing.T) {
	load, four := validatorsOf(10, 10, 10, 10)
	bus := types.NewEventBus()
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	votes, err := bus.SubscribeUnbuffered(context.Background(), name, types.EventQueryVote)
	if err != nil {
		t.Fatal(err)
	}
	known, ended := &standing{}, make(chan struct{})
	go func() {
		known.follow(votes)
		close(ended)
	}()
	for _, address := range four[:3] {
		if err := bus.PublishEventVote(types.EventDataVote{Vote: prevote(address, height, 0, theBlock)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on after the engine's events have ended")
	}
	if why, err := known.why(height, theBlock, load); err != nil || why == "" {
		t.Errorf("%q, %v", why, err)
	}
}
