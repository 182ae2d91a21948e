"""What calls cost: token estimates, prices, budgets and the ledger of what was spent."""
