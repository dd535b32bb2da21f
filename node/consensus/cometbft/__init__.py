"""CometBFT as the engine of consensus: a child of the core that drives the same application as the solo engine does.

`supervisor` keeps its process running, `engine_log` puts its log into ours, `status` asks it questions by its RPC. The
program itself is the Go module in the folder `engine`, built by `scripts/build-engine`.
"""
