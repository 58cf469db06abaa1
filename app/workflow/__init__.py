"""Which change may follow which: state tables, pure."""
