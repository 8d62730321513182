package source

// Short returns as much of a commit's id as people say: 12 characters.
func Short(commit string) string {
	return commit[:min(len(commit), 12)]
}
