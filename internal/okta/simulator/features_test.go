package simulator_test

import (
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestFeatures(t *testing.T) {
	seed := simulator.DefaultSeed(10)
	seed.Features = []simulator.Feature{
		{Name: "Base", Description: "what the others need"}, {Name: "Middle", Needs: []string{"Base"}}, {Name: "Top", Needs: []string{"Middle"}},
		{Name: "Beta", Stage: "BETA"}, {Name: "Over", Stage: "BETA", Closed: true},
	}
	for i := range seed.Orgs {
		seed.Orgs[i].Features = []string{"Over"}
	}
	o := startOrg(t, simulatortest.Config{Seed: seed})
	const path = "/api/v1/features"
	id := map[string]string{}
	for _, f := range o.list(path) {
		id[f["name"].(string)] = f["id"].(string)
	}
	status := func() string {
		var all string
		for _, f := range o.list(path) {
			if f["status"] == "ENABLED" {
				all += f["name"].(string) + " "
			}
		}
		return all
	}
	wantEqual(t, status(), "Over ")
	wantEqual(t, o.want(200, "GET", path+"/"+id["Over"], "")["stage"], "map[state:CLOSED value:BETA]")
	wantEqual(t, names(o.list(path+"/"+id["Middle"]+"/dependencies"), "name"), "[Base]")
	wantEqual(t, names(o.list(path+"/"+id["Middle"]+"/dependents"), "name"), "[Top]")
	o.refuses(
		wrongCall{"POST", path + "/" + id["Top"] + "/ENABLE", "", 400, "E0000141", "Middle, Base"},
		wrongCall{"POST", path + "/" + id["Top"] + "/enable", "", 400, "E0000001", "ENABLE or DISABLE"},
		wrongCall{"POST", path + "/" + id["Top"] + "/ENABLE?mode=forced", "", 400, "E0000001", "mode"},
		wrongCall{"POST", path + "/ftr0/ENABLE", "", 404, "E0000007", "ftr0 (Feature)"},
		wrongCall{"GET", path + "?limit=5", "", 400, "E0000001", "limit"},
		wrongCall{"POST", path, "{}", 405, "E0000022", "method"},
	)
	made := o.want(200, "POST", path+"/"+id["Top"]+"/ENABLE?mode=force", "")
	wantEqual(t, made["status"], "ENABLED")
	wantEqual(t, status(), "Base Middle Top Over ")
	o.refuses(wrongCall{"POST", path + "/" + id["Base"] + "/DISABLE", "", 400, "E0000141", "Middle, Top"})
	o.want(200, "POST", path+"/"+id["Middle"]+"/DISABLE?mode=force", "")
	o.want(200, "POST", path+"/"+id["Over"]+"/DISABLE", "")
	o.want(200, "POST", path+"/"+id["Beta"]+"/ENABLE", "")
	wantEqual(t, status(), "Base Beta ")
	o.refuses(wrongCall{"POST", path + "/" + id["Over"] + "/ENABLE?mode=force", "", 400, "E0000001", "closed beta"})
	wantEqual(t, o.events(), "[system.feature.enable Base system.feature.enable Middle system.feature.enable Top system.feature.disable Top "+
		"system.feature.disable Middle system.feature.disable Over system.beta.feature.enable Beta]")
}
