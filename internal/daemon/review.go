package daemon

import "reconciler/internal/config"

// followed gives the revision that the config follows, in the words of git.
func followed(g *config.Git) string {
	switch {
	case g.Commit != "":
		return g.Commit
	case g.Tag != "":
		return "refs/tags/" + g.Tag
	default:
		return "refs/heads/" + g.Branch
	}
}
