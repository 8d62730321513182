package state

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"testing/fstest"
)

func TestTmp(t *testing.T) {
	data, _ := os.ReadFile("/tmp/w/state10.yaml")
	d, w, err := Load([]Input{{FS: fstest.MapFS{"a.yaml": {Data: data}}, Root: "a.yaml"}}, LoadOptions{})
	for _, x := range w {
		fmt.Println("W", x)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range d.Orgs {
		fmt.Println(o.Domain, o.Labels, o.Vars, o.Owner, o.ClientID)
		if o.Config != nil {
			for _, x := range o.Config.Objects {
				b, _ := json.Marshal(x.Body)
				fmt.Println("  ", x.Ref.PlanKind(), x.Ref.Type, x.Ref.Object(), x.Absent, x.System, x.Pos, string(b))
			}
		}
	}
}
func TestTmpExplain(t *testing.T) {
	data, _ := os.ReadFile("/tmp/w/state10b.yaml")
	d, _, err := Load([]Input{{FS: fstest.MapFS{"a.yaml": {Data: data}}, Root: "a.yaml"}}, LoadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(Explain(os.Stdout, d, "acme-emea.okta.com"))
	fmt.Println(Explain(os.Stdout, d, "acme-eema.okta.com"))
}
