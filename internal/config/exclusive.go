package config

import (
	"slices"
	"strings"
)

// exclusion is a choice between keys of one block: those of one alternative can't
// stand beside those of another.
type exclusion struct {
	block        string // its path, with * for the index of a list; "" for the file
	alternatives [][]string
}

// exclusions are all choices, besides those between a secret, its file and its program. The
// checks and their messages are the resolver's; here is what a variable removes
// from the file, and what the JSON Schema excludes.
var exclusions = []exclusion{
	{"", [][]string{{"git"}, {"manifests"}}},
	{"git", [][]string{{"branch"}, {"tag"}, {"commit"}}},
	{"git.auth", [][]string{{"password", "passwordFile", "passwordCommand"}, {"sshKeyFile", "sshPassphrase", "sshPassphraseFile", "sshPassphraseCommand"}}},
	{"git.auth", [][]string{{"githubApp"}, {
		"username", "password", "passwordFile", "passwordCommand", "sshKeyFile", "sshPassphrase", "sshPassphraseFile", "sshPassphraseCommand",
	}}},
	{"parents.*.auth", [][]string{{"token", "tokenFile", "tokenCommand"}, {
		"clientID", "privateKey", "privateKeyFile", "privateKeyCommand", "signCommand", "publicKeyFile", "keyID", "dpop",
	}}},
	{"aerial.auth", keyPlaces},
	{"parents.*.auth", keyPlaces},
	{"orgs.auth", keyPlaces},
	{"git.auth.githubApp", keyPlaces},
	{"windows.*", [][]string{{"deny"}, {"allow"}}},
	{"tokens", [][]string{{"dir", "recipientsFile"}, {"command"}}},
	{"state", [][]string{{"dir"}, {"postgres"}}},
	{"http.auth", [][]string{{wordKey}, {"tokensFile", "oidc"}}},
}

// keyPlaces are the keys that a private key is in, or that sign with one.
var keyPlaces = [][]string{{"privateKey", "privateKeyFile", "privateKeyCommand"}, {"signCommand", "publicKeyFile"}}

// wordKey stands for a word in place of a block.
const wordKey = "(word)"

// choice returns the path of the key that the field stands for among alternatives.
func (f *field) choice() string {
	if f.word {
		return f.path + "." + wordKey
	}
	return f.path
}

// removeExcluded removes what is excluded by the fields that are chosen, and returns
// which of them removed a key that protects. A key that may only be set beside others
// excludes nothing by itself: a credential for git doesn't make git the source of the
// manifests.
func (f *file) removeExcluded(chosen func(*field) bool) (unprotecting []replacement) {
	var all, winners []*field
	f.walk(func(fd *field) {
		all = append(all, fd)
		if !fd.isBlock() && chosen(fd) {
			winners = append(winners, fd)
		}
	})
	for _, w := range winners {
		for _, loser := range all {
			if !excludes(w.choice(), loser.choice()) {
				continue
			}
			if slices.ContainsFunc(all, func(fd *field) bool { return fd.isSet() && fd.protects() && fd.within(loser) }) {
				unprotecting = append(unprotecting, replacement{w, loser})
			}
			loser.remove()
		}
	}
	return unprotecting
}

// replacement is a field that replaces another one, which it excludes.
type replacement struct{ by, of *field }

// excludes reports whether the keys at two paths are alternatives. What stands
// for a block is the key that it needs.
func excludes(a, b string) bool {
	block, key := parent(a)
	if block == "git" && key == "url" {
		block, key = "", "git"
	}
	if block == "git.auth.githubApp" && key == "appID" {
		block, key = "git.auth", "githubApp"
	}
	if block == "http.auth.oidc" && key == "issuer" {
		block, key = "http.auth", "oidc"
	}
	other, otherKey := parent(b)
	if block == "state.postgres" && other != block {
		block, key = "state", "postgres"
	}
	if block != other {
		return false
	}
	if secret := secretOf(key); secret != "" && secret == secretOf(otherKey) && key != otherKey || key == secretOf(otherKey) || secret == otherKey {
		return true
	}
	return slices.ContainsFunc(exclusions, func(e exclusion) bool {
		i, j := e.alternative(key), e.alternative(otherKey)
		return pattern(block) == e.block && i >= 0 && j >= 0 && i != j
	})
}

// secretOf returns the key of the secret whose file or program another key names; empty
// if it names none.
func secretOf(key string) string {
	for _, place := range []string{"File", "Command"} {
		if secret, ok := strings.CutSuffix(key, place); ok {
			return secret
		}
	}
	return ""
}

// alternative returns the index of the alternative that has the key, or -1.
func (e *exclusion) alternative(key string) int {
	return slices.IndexFunc(e.alternatives, func(keys []string) bool { return slices.Contains(keys, key) })
}

// parent returns the block of a path, and the key in it.
func parent(path string) (block, key string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// pattern returns a path with * for each index.
func pattern(path string) string {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if strings.Trim(part, "0123456789") == "" && part != "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}
