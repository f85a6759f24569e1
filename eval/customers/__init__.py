"""Simulated customers: scripted ones, ones made of rules, and a language model in a customer's place. None of them is the agent's."""
