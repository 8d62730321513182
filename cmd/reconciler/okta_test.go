package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
	"github.com/rogpeppe/go-internal/testscript"

	"reconciler/internal/okta/simulator"
)

// okta is the simulator of a script, and how often it was asked for something.
type okta struct {
	*simulator.Simulator
	asked atomic.Int64
}

func (o *okta) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	o.Simulator.ServeHTTP(w, r)
}

// oktaCommand returns a command for scripts:
//
//	okta start SEED           starts a simulator, and puts all it takes to work with
//	                          it into the environment
//	okta unasked              fails if anything was ever asked of it
//	okta products ORG ID,ID   gives an org these products by hand
//	okta forbid ORG           refuses to tell the org's products
//	okta fault FAULT          makes calls fail, as simulate --fault does
func oktaCommand() func(*testscript.TestScript, bool, []string) {
	var running sync.Map // of *testscript.TestScript, as scripts run at the same time
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: okta start|unasked|products|forbid|fault")
		}
		if args[0] == "start" && len(args) == 2 {
			o := startOkta(ts, args[1])
			running.Store(ts, o)
			return
		}
		found, ok := running.Load(ts)
		if !ok {
			ts.Fatalf("okta start SEED comes first")
		}
		o := found.(*okta)
		switch call := args[0]; {
		case call == "unasked" && len(args) == 1:
			if n := o.asked.Load(); n > 0 {
				ts.Fatalf("it was asked %d times", n)
			}
		case call == "products" && len(args) == 3:
			ts.Check(o.SetOrgProducts(args[1], strings.Split(args[2], ","), "ivan@acme.example"))
		case call == "forbid" && len(args) == 2:
			ts.Check(o.SetReadForbidden(args[1], true))
		case call == "fault" && len(args) == 2:
			fault, err := simulator.ParseFault(args[1])
			ts.Check(err)
			ts.Check(o.AddFault(fault))
		default:
			ts.Fatalf("okta %s is not understood", strings.Join(args, " "))
		}
	}
}

func startOkta(ts *testscript.TestScript, file string) *okta {
	seed, err := simulator.LoadSeed(file, []byte(ts.ReadFile(file)))
	ts.Check(err)
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read", "okta.accounts.manage")
	ts.Check(err)
	key, err := access.Credentials.PEM()
	ts.Check(err)
	sim, err := simulator.New(seed, simulator.Options{})
	ts.Check(err)
	o := &okta{Simulator: sim}
	srv := httptest.NewServer(o)
	ts.Defer(srv.Close)
	for name, value := range map[string]string{
		"URL": srv.URL, "ACCOUNT_ID": access.AccountID, "AUTH_ORG_URL": srv.URL,
		"AUTH_CLIENT_ID": access.Credentials.ClientID, "AUTH_KEY_ID": access.Credentials.KeyID,
		"AUTH_PRIVATE_KEY": string(key),
	} {
		ts.Setenv("RECONCILER_AERIAL_"+name, value)
	}
	return o
}
