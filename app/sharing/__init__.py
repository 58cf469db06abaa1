"""Who may: rules, grants and facts."""
