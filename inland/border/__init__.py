"""The border: the one door that bytes pass, and the ledger of every attempt."""
