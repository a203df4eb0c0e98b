"""What is done with identity providers, for the admin API and the command line alike: made, changed, switched,
tried out, shown and deleted. Never: how a kind of provider works, which is in its module of ``sign_in/providers``."""
