"""Attribution of rankers' preference for a relevant doc to feed-forward neurons."""
