package links

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

func TestOf(t *testing.T) {
	for _, c := range []struct{ repository, commit, file string }{
		{"https://github.com/acme/orgs.git", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"https://GitHub.com/acme/orgs/", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"git@github.com:acme/orgs.git", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"ssh://git@ssh.github.com:443/acme/orgs.git", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"https://acme.ghe.com/it/orgs", "https://acme.ghe.com/it/orgs/commit/" + hash, "https://acme.ghe.com/it/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"https://gitlab.com/acme/it/orgs.git", "https://gitlab.com/acme/it/orgs/-/commit/" + hash, "https://gitlab.com/acme/it/orgs/-/blob/" + hash + "/a/b.yaml#L7"},
		{"ssh://git@gitlab.acme.example:2222/it/orgs.git", "https://gitlab.acme.example/it/orgs/-/commit/" + hash, "https://gitlab.acme.example/it/orgs/-/blob/" + hash + "/a/b.yaml#L7"},
		{"https://gitea.acme.example:3000/it/orgs.git", "https://gitea.acme.example:3000/it/orgs/commit/" + hash, "https://gitea.acme.example:3000/it/orgs/src/commit/" + hash + "/a/b.yaml#L7"},
		{"git@codeberg.org:acme/orgs.git", "https://codeberg.org/acme/orgs/commit/" + hash, "https://codeberg.org/acme/orgs/src/commit/" + hash + "/a/b.yaml#L7"},
		{"git@bitbucket.org:acme/orgs.git", "https://bitbucket.org/acme/orgs/commits/" + hash, "https://bitbucket.org/acme/orgs/src/" + hash + "/a/b.yaml#lines-7"},
		// Credentials never stand in a link, wherever they come from.
		{"https://user:secret@github.com/acme/orgs.git", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},
		{"https://github.com/acme/orgs.git?token=secret#x", "https://github.com/acme/orgs/commit/" + hash, "https://github.com/acme/orgs/blob/" + hash + "/a/b.yaml#L7"},

		{"https://git.acme.example/it/orgs.git", "", ""},
		{"https://gitlab/it/orgs.git", "", ""},
		{"file:///srv/github.com/acme/orgs", "", ""},
		{"/srv/orgs.git", "", ""},
		{"./github.com:acme/orgs", "", ""},
		{"https://github.com/orgs", "", ""},
		{"https://github.com/acme/../orgs", "", ""},
		{"git://github.com/acme/orgs", "", ""},
		{"javascript://github.com/acme/orgs", "", ""},
		{"https://github.com/acme/\norgs", "", ""},
		{"https://git%zz/", "", ""},
		{"", "", ""},
	} {
		r := Of(c.repository)
		if got := r.Commit(hash); got != c.commit {
			t.Errorf("%q: commit %q, want %q", c.repository, got, c.commit)
		}
		if got := r.File(hash, "a/b.yaml", 7); got != c.file {
			t.Errorf("%q: file %q, want %q", c.repository, got, c.file)
		}
	}
}

func TestAt(t *testing.T) {
	for _, c := range []struct{ provider, api, name, commit string }{
		{"github", "https://api.github.com", "acme/orgs", "https://github.com/acme/orgs/commit/" + hash},
		{"github", "https://api.acme.ghe.com", "it/orgs", "https://acme.ghe.com/it/orgs/commit/" + hash},
		{"github", "https://git.acme.example/api/v3", "it/orgs", "https://git.acme.example/it/orgs/commit/" + hash},
		{"gitlab", "https://git.acme.example/tools/gitlab/api/v4/", "it/sub/orgs", "https://git.acme.example/tools/gitlab/it/sub/orgs/-/commit/" + hash},
		{"gitea", "http://127.0.0.1:3000/api/v1", "it/orgs", "http://127.0.0.1:3000/it/orgs/commit/" + hash},
		{"forgejo", "https://git.acme.example/api/v1", "it/orgs", "https://git.acme.example/it/orgs/commit/" + hash},
		{"gitea", "https://user:secret@git.acme.example/api/v1", "it/orgs", "https://git.acme.example/it/orgs/commit/" + hash},
		{"sourcehut", "https://git.acme.example", "it/orgs", ""},
		{"github", "", "it/orgs", ""},
		{"github", "https://api.github.com", "orgs", ""},
	} {
		if got := At(c.provider, c.api, c.name).Commit(hash); got != c.commit {
			t.Errorf("%s at %q: commit %q, want %q", c.provider, c.api, got, c.commit)
		}
	}
}

func TestPathsAreEscaped(t *testing.T) {
	r := Of("https://github.com/acme/orgs")
	want := "https://github.com/acme/orgs/blob/" + hash + "/EU%20&%20US/%23a%3Fb%25%3C%3E%22%7C%29.yaml"
	if got := r.File(hash, `EU & US/#a?b%<>"|).yaml`, 0); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, file := range []string{"", "/etc/passwd", "../x", "a//b", "a/./b"} {
		if got := r.File(hash, file, 1); got != "" {
			t.Errorf("%q: %s", file, got)
		}
	}
	for _, commit := range []string{"", "main", "../" + hash, hash[:7], strings.ToUpper(hash)} {
		if got := r.Commit(commit) + r.File(commit, "a.yaml", 1); got != "" {
			t.Errorf("%q: %s", commit, got)
		}
	}
}

// TestLinksStayAtTheForge: whatever a path is, the link leads to it and nowhere else.
func TestLinksStayAtTheForge(t *testing.T) {
	r := Of("git@gitlab.com:acme/orgs.git")
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.String().Draw(t, "file")
		link := r.File(hash, file, 3)
		if link == "" {
			if proper(file) {
				t.Fatalf("no link to %q", file)
			}
			return
		}
		u, err := url.Parse(link)
		if err != nil || u.Scheme+"://"+u.Host != "https://gitlab.com" || u.Path != "/acme/orgs/-/blob/"+hash+"/"+file || u.Fragment != "L3" || u.RawQuery != "" {
			t.Fatalf("%q: %s: %v", file, link, err)
		}
	})
}
