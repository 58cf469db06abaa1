"""Work that takes time, as Tasks in the store: visible, resumable, cancellable, protected, audited."""
