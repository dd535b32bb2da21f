"""Consensus: the application that every engine drives, and the engines that drive it."""
