package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/okta/objects"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// listing is a list that get shows.
type listing[T any] struct {
	// name is that of the list in the daemon's API, and read reads it from a state folder.
	name string
	read func(*reconcile.InventoryReader, *reconcile.InventoryQuery) (*reconcile.Page[T], error)
	// header and row are a table's, columns and cells those of CSV. names are those of
	// products, by id.
	header  string
	row     func(item *T, names map[string]string, now time.Time) []string
	columns []string
	cells   func(item *T) []string
	// id is what -o name prints of an item; nothing where it is empty.
	id func(*T) string
}

// inventoryFlags are those of the lists of get. A list has some of them.
type inventoryFlags struct {
	orgs, selectors        []string
	product, status, since string
	run, outcome           string
	states                 []string
	owner, sort, kind      string
	declared               bool
	drifted                *bool // nil if it isn't given
	limit                  int
	format, address        string
	tokenFile              string
	offline                bool
}

// inventoryFormats are the formats of lists, the default one first.
func inventoryFormats() []string { return []string{"table", "json", "csv", "name"} }

// outcomes are those of changes in the history.
func outcomes() []string {
	return []string{string(apply.Applied), string(apply.Failed), string(apply.Skipped), history.OutcomeUnknown}
}

// syncStates are the states of orgs and objects.
func syncStates() (all []string) {
	for _, s := range reconcile.SyncStates() {
		all = append(all, string(s))
	}
	return all
}

// add adds the flags that all lists have, and those that are named.
func (f *inventoryFlags) add(flags *pflag.FlagSet, limit int, names ...string) {
	flags.StringArrayVar(&f.orgs, "org", nil, "only the org with this `DOMAIN`; may be repeated")
	flags.StringVar(&f.product, "product", "", "only with the product of this `NAME` or id")
	flags.StringArrayVarP(&f.selectors, "selector", "l", nil, "only orgs whose labels match `KEY=VALUE`, as for diff; may be repeated")
	flags.IntVar(&f.limit, "limit", limit, "at most `N`; 0: all")
	flags.StringVarP(&f.format, "output", "o", "table", "`FORMAT`: table, json, csv, name")
	setValues(flags, "output", inventoryFormats())
	flags.StringVar(&f.address, "address", "", "`ADDRESS` of the daemon, HOST:PORT or a URL, instead of the config's; the state folder is not read then")
	addDaemonToken(flags, &f.tokenFile)
	flags.BoolVar(&f.offline, "offline", false, "read the state folder, and ask no daemon")
	for _, name := range names {
		switch name {
		case "since":
			flags.StringVar(&f.since, "since", "", "only since this `TIME`: a date, a date and time with zone, or how long ago (24h, 7d)")
		case "status":
			flags.StringVar(&f.status, "status", "", "only orgs with this `STATUS`: ACTIVE or INACTIVE")
			setValues(flags, "status", state.Status("").Values())
		case "declared":
			flags.BoolVar(&f.declared, "declared", false, "only declared orgs; --product and --status mean what is declared, not what is live")
		case "drifted":
			flags.Var(optionalBool{&f.drifted}, "drifted", "only orgs that differ from what is declared; with =false, only orgs that don't")
			flags.Lookup("drifted").NoOptDefVal = "true"
		case "state":
			flags.StringArrayVar(&f.states, "state", nil, "only in this `STATE`: "+strictyaml.OneOf(syncStates())+"; may be repeated")
			setValues(flags, "state", syncStates())
		case "owner":
			flags.StringVar(&f.owner, "owner", "", "only orgs of this `OWNER`")
		case "sort":
			flags.StringVar(&f.sort, "sort", "", "sort by `FIELD`: "+strictyaml.OneOf(reconcile.OrgSorts())+"; with - before it in descending order")
			setValues(flags, "sort", reconcile.OrgSorts())
		case "outcome":
			flags.StringVar(&f.outcome, "outcome", "", "only with changes that ended with this `OUTCOME`: "+strictyaml.OneOf(outcomes()))
			setValues(flags, "outcome", outcomes())
		case "run":
			flags.StringVar(&f.run, "run", "", "only of the run with this `ID`")
		}
	}
}

// optionalBool is a flag that is true, false or not given.
type optionalBool struct{ p **bool }

// Set implements pflag.Value.
func (o optionalBool) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("must be true or false")
	}
	*o.p = &v
	return nil
}

// String returns the value; empty if the flag isn't given.
func (o optionalBool) String() string {
	if o.p == nil || *o.p == nil {
		return ""
	}
	return strconv.FormatBool(**o.p)
}

// Type returns "bool": the flag may be given without a value.
func (o optionalBool) Type() string { return "bool" }

// query returns what the flags select.
func (f *inventoryFlags) query(now time.Time) (*reconcile.InventoryQuery, error) {
	if !slices.Contains(inventoryFormats(), f.format) {
		return nil, fmt.Errorf("-o %q: must be %s%s", f.format, strictyaml.OneOf(inventoryFormats()), strictyaml.DidYouMean(f.format, inventoryFormats()))
	}
	if f.limit < 0 {
		return nil, fmt.Errorf("--limit %d: must not be negative", f.limit)
	}
	if f.offline && f.address != "" {
		return nil, errors.New("--offline and --address can't be combined")
	}
	q := &reconcile.InventoryQuery{
		Product: f.product, Declared: f.declared, Status: state.Status(strings.ToUpper(f.status)), Drifted: f.drifted, Run: f.run, Outcome: f.outcome,
		Owner: f.owner, Sort: f.sort, Kind: f.kind, Limit: f.limit,
	}
	for _, s := range f.states {
		if !slices.Contains(syncStates(), s) {
			return nil, fmt.Errorf("--state %q: must be %s%s", s, strictyaml.OneOf(syncStates()), strictyaml.DidYouMean(s, syncStates()))
		}
		q.States = append(q.States, reconcile.SyncState(s))
	}
	if values := q.Status.Values(); q.Status != "" && !slices.Contains(values, string(q.Status)) {
		return nil, fmt.Errorf("--status %q: must be %s%s", f.status, strictyaml.OneOf(values), strictyaml.DidYouMean(string(q.Status), values))
	}
	if f.outcome != "" && !slices.Contains(outcomes(), f.outcome) {
		return nil, fmt.Errorf("--outcome %q: must be %s%s", f.outcome, strictyaml.OneOf(outcomes()), strictyaml.DidYouMean(f.outcome, outcomes()))
	}
	for _, domain := range f.orgs {
		q.Orgs = append(q.Orgs, strings.ToLower(domain))
	}
	var err error
	if q.Labels, err = state.ParseSelector(f.selectors...); err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	q.Since, err = parseTime("--since", f.since, now)
	return q, err
}

// values returns q as the parameters of the daemon's API.
func (f *inventoryFlags) values(q *reconcile.InventoryQuery) url.Values {
	v := url.Values{"org": q.Orgs, "label": f.selectors, "state": f.states}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("product", q.Product)
	set("status", string(q.Status))
	set("run", q.Run)
	set("outcome", q.Outcome)
	set("owner", q.Owner)
	set("sort", q.Sort)
	set("kind", q.Kind)
	if q.Declared {
		set("declared", "true")
	}
	if q.Drifted != nil {
		set("drifted", strconv.FormatBool(*q.Drifted))
	}
	if !q.Since.IsZero() {
		set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	return v
}

// mostOfPage is how many items a daemon is asked for at a time.
const mostOfPage = 1000

// fetch returns what a daemon answers.
func fetch[T any](ctx context.Context, a *app, l *listing[T], f *inventoryFlags, q *reconcile.InventoryQuery, address string) (*reconcile.Page[T], error) {
	ctx, err := a.asUser(ctx, f.tokenFile, address)
	if err != nil {
		return nil, err
	}
	values := f.values(q)
	var all *reconcile.Page[T]
	for {
		most := mostOfPage
		if q.Limit > 0 {
			most = min(most, q.Limit)
			if all != nil {
				most = min(mostOfPage, q.Limit-len(all.Items))
			}
		}
		values.Set("limit", strconv.Itoa(most))
		page, err := api.FetchPage[T](ctx, address, l.name, values)
		if err != nil {
			return nil, withTokenHint(err)
		}
		if all != nil {
			page.Items = append(all.Items, page.Items...)
		}
		all = page
		if all.Next == "" || q.Limit > 0 && len(all.Items) >= q.Limit {
			return all, nil
		}
		values.Set("after", all.Next)
	}
}

// get prints a list.
func get[T any](ctx context.Context, a *app, l *listing[T], f *inventoryFlags) error {
	now := time.Now()
	q, err := f.query(now)
	if err != nil {
		return err
	}
	page, err := load(ctx, a, l, f, q)
	if err != nil {
		return err
	}
	if page.Unread > 0 && q.Product != "" && !q.Declared && l.name == "orgs" {
		a.warn(fmt.Sprintf("the products of %s are not read, because the manifests don't manage them", text.Plural(page.Unread, "live org")))
	}
	if err := l.write(a.out, f.format, page, now); err != nil {
		return err
	}
	if quiet := page.Quiet; quiet != nil && quiet.Runs > 0 && f.format == "table" {
		fmt.Fprintf(a.err, "and %s in which nothing happened, the last at %s\n", text.Plural(quiet.Runs, "run"), shortTime(quiet.Last))
	}
	return nil
}

// load returns a list as the daemon has it, or without one, as the state folder has it.
func load[T any](ctx context.Context, a *app, l *listing[T], f *inventoryFlags, q *reconcile.InventoryQuery) (*reconcile.Page[T], error) {
	if f.address != "" {
		return fetch(ctx, a, l, f, q, f.address)
	}
	if f.offline {
		return loadOffline(a, l, q, "")
	}
	address, err := a.daemonAddress()
	if err != nil {
		return nil, err
	}
	page, err := fetch(ctx, a, l, f, q, address)
	if err == nil {
		err = a.sameAccount(page.Account, address)
	}
	var none *api.NoDaemonError
	if !errors.As(err, &none) {
		return page, err
	}
	if cfg, failed := a.loadConfig(); failed != nil || !cfg.State.IsSet() {
		return nil, err
	}
	return loadOffline(a, l, q, text.JoinLines(err.Error())+"; ")
}

// loadOffline returns a list as the state folder has it. why is why no daemon has it.
func loadOffline[T any](a *app, l *listing[T], q *reconcile.InventoryQuery, why string) (*reconcile.Page[T], error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	s, err := a.openHistory()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	page, err := l.read(reconcile.NewInventoryReader(s, cfg.Aerial.AccountID), q)
	if err != nil {
		return nil, err
	}
	asOf := "no run has read the account yet"
	if page.AsOf != nil {
		asOf = "as of " + shortTime(*page.AsOf) + ", " + ago(time.Now(), *page.AsOf)
	}
	a.warn(fmt.Sprintf("%sfrom %s: %s", why, stateName(cfg), asOf))
	return page, nil
}

// sameAccount returns an error if a daemon is that of another account than the config's.
func (a *app) sameAccount(account, address string) error {
	cfg, err := a.loadConfig()
	if err != nil || cfg.Aerial.AccountID == "" || account == cfg.Aerial.AccountID {
		return nil // without a config, any daemon is meant
	}
	return &api.NoDaemonError{Err: withHint(fmt.Sprintf("the daemon on %s is that of the account %q, and the config is about %q", address, account, cfg.Aerial.AccountID),
		"give the address of another one with --address, or set "+config.KeyHTTPAddress)}
}

// write writes a list.
func (l *listing[T]) write(w io.Writer, format string, page *reconcile.Page[T], now time.Time) error {
	switch format {
	case "json":
		return writeJSONList(w, page.Items)
	case "csv":
		c := csv.NewWriter(w)
		_ = c.Write(l.columns) // c keeps its error
		for i := range page.Items {
			_ = c.Write(text.Spreadsheet(l.cells(&page.Items[i])))
		}
		c.Flush()
		return c.Error()
	case "name":
		last := ""
		for i := range page.Items {
			if id := l.id(&page.Items[i]); id != "" && id != last {
				if _, err := fmt.Fprintln(w, id); err != nil {
					return err
				}
				last = id
			}
		}
		return nil
	}
	if len(page.Items) == 0 {
		_, err := fmt.Fprintf(w, "no %s\n", l.name)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, l.header)
	for i := range page.Items {
		fmt.Fprintln(t, strings.Join(cells(l.row(&page.Items[i], page.ProductNames, now)), "\t"))
	}
	return t.Flush()
}

// productsText returns products for people.
func productsText(ids []string, names map[string]string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = cmp.Or(names[id], id)
	}
	return strings.Join(all, ", ")
}

// against returns what is live, and what is declared instead if that is something else.
func against(live, declared string, managed bool) string {
	if !managed || declared == "" || live == declared {
		return live
	}
	return cmp.Or(live, "nothing") + " (declared " + declared + ")"
}

// stamp returns a time; empty for none.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return shortTime(*t)
}

// inactiveText says since when and by whom an org is INACTIVE.
func inactiveText(i *reconcile.Inactive) string {
	if i == nil {
		return ""
	}
	s := "inactive since " + shortTime(i.Since)
	if i.OrEarlier {
		s += " or earlier"
	}
	by := "not known by whom"
	if i.By != "" {
		by = "by " + i.By
	}
	return s + ", " + by
}

func (a *app) getOrgsCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, orgListing())
	cmd.Short = "List orgs: status, products, labels, drift"
	cmd.Long = `List the orgs that are declared or were live when the account was read last: status,
products, labels, owner, how many fields differ and since when, and of INACTIVE ones
since when and by whom. --product and --status mean what is live; with --declared what
is declared.` + aboutSources
	cmd.Example = `  reconciler get orgs --product mfa -o csv > mfa.csv
  reconciler get orgs -l tier=production --drifted
  reconciler get orgs --status INACTIVE
  reconciler get orgs --product mfa -o name | xargs -n 1 reconciler history --org`
	f.add(cmd.Flags(), 0, "state", "status", "declared", "drifted", "owner", "since", "sort")
	return cmd
}

// aboutSources says where lists are from, in a paragraph of its own.
const aboutSources = `

The running daemon is asked; where none answers, what the runs of the state folder
read last is shown, and as of when it is. Okta is not contacted, and no credentials
are needed.`

func orgListing() *listing[reconcile.OrgItem] {
	return &listing[reconcile.OrgItem]{
		name: "orgs", read: (*reconcile.InventoryReader).Orgs,
		header: "DOMAIN\tID\tCELL\tSTATUS\tPRODUCTS\tDRIFT\tLABELS\tOWNER\tMODE\tNOTE",
		row: func(o *reconcile.OrgItem, names map[string]string, now time.Time) []string {
			drift, note, mode := "", inactiveText(o.Inactive), string(o.Mode)
			if o.Drifted > 0 {
				drift = strconv.Itoa(o.Drifted)
				if o.Since != nil {
					drift += " for " + lasting(now, *o.Since)
				}
			}
			switch {
			case !o.Managed:
				note = strings.TrimPrefix(note+", unmanaged", ", ")
			case o.Unknown != "":
				note = strings.TrimPrefix(note+", can't be read: "+text.OneLine(o.Unknown, maxWhat), ", ")
			case o.Status == "":
				note = "not live"
			}
			products := "not read"
			if o.Products != nil || o.Status == "" {
				products = against(productsText(o.Products, names), productsText(o.DeclaredProducts, names), o.Managed && o.DeclaredProducts != nil && o.ProductPolicy == state.Exact)
			}
			return []string{
				o.Domain, o.ID, o.Cell, against(string(o.Status), string(o.DeclaredStatus), o.Managed), products, drift, reconcile.Labels(o.Labels), o.Owner, mode, note,
			}
		},
		columns: reconcile.OrgColumns(), cells: reconcile.OrgCells,
		id: func(o *reconcile.OrgItem) string { return o.Domain },
	}
}

// inventoryCommand returns the command of a list, without its words and flags.
func inventoryCommand[T any](a *app, f *inventoryFlags, l *listing[T]) *cobra.Command {
	return &cobra.Command{
		Use:  l.name,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return get(cmd.Context(), a, l, f) },
	}
}

func (a *app) getProductsCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, productListing())
	cmd.Short = "List products, with the number of orgs that have and want them"
	cmd.Long = `List the products of the account and the manifests: how many live orgs have each, how
many of them are INACTIVE (which Okta doesn't bill), how many orgs are declared to have
it, and the limit that the manifests give it.` + aboutSources
	cmd.Example = `  reconciler get products
  reconciler get products -l bu=retail
  reconciler get products --product mfa -o json`
	f.add(cmd.Flags(), 0, "status", "declared")
	return cmd
}

func productListing() *listing[reconcile.ProductItem] {
	counts := func(p *reconcile.ProductItem) []string {
		limit := ""
		if p.Limit != nil {
			limit = strconv.Itoa(*p.Limit)
		}
		return []string{p.ID, p.Name, strconv.Itoa(p.Have), strconv.Itoa(p.Inactive), strconv.Itoa(p.Want), strconv.Itoa(p.WantActive), limit}
	}
	return &listing[reconcile.ProductItem]{
		name: "products", read: (*reconcile.InventoryReader).Products,
		header: "ID\tNAME\tHAVE\tINACTIVE\tWANT\tWANT ACTIVE\tLIMIT\tNOTE",
		row: func(p *reconcile.ProductItem, _ map[string]string, _ time.Time) []string {
			note := ""
			if p.Limit != nil && p.WantActive > *p.Limit {
				note = fmt.Sprintf("%d past the limit", p.WantActive-*p.Limit)
			}
			return append(counts(p), note)
		},
		columns: []string{"id", "name", "have", "inactive", "want", "wantActive", "limit"},
		cells:   counts,
		id:      func(p *reconcile.ProductItem) string { return p.ID },
	}
}

func (a *app) getDriftCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, driftListing())
	cmd.Short = "List what differs from the manifests, since when, and who caused it"
	cmd.Long = `List the fields that differ from the manifests: since when, how many runs saw it, and
who caused it, as far as that is known.` + aboutSources
	cmd.Example = `  reconciler get drift --org acme-emea.okta.com
  reconciler get drift -l tier=production -o json`
	f.add(cmd.Flags(), 0, "since")
	return cmd
}

func driftListing() *listing[reconcile.DriftItem] {
	cause := func(d *reconcile.DriftItem) string {
		switch {
		case d.Cause != nil:
			return d.Cause.String()
		case d.Unknown != "":
			return "unknown: " + d.Unknown
		}
		return "not known yet"
	}
	return &listing[reconcile.DriftItem]{
		name: "drift", read: (*reconcile.InventoryReader).Drift,
		header: "ORG\tFIELD\tREPAIR\tSINCE\tRUNS\tCAUSE\tNOTE",
		row: func(d *reconcile.DriftItem, names map[string]string, now time.Time) []string {
			note := d.Error
			if d.Blocked != "" {
				note = report.Blocked(d.Blocked)
			}
			return []string{
				report.Org(d.Org), d.Field, text.OneLine(report.Phrase(d.Field, d.Lines(names)), maxWhat),
				shortTime(d.Since) + " (" + lasting(now, d.Since) + ")", strconv.Itoa(d.Times), cause(d), text.OneLine(note, maxWhat),
			}
		},
		columns: []string{"org", "orgID", "field", "kind", "object", "desired", "actual", "since", "lastSeen", "times", "run", "destructive", "blocked", "error", "cause", "causeTime"},
		cells: func(d *reconcile.DriftItem) []string {
			who, at := "", ""
			if d.Cause != nil {
				who, at = d.Cause.Actor, shortTime(d.Cause.Time)
			}
			return []string{
				d.Org, d.OrgID, d.Field, d.Kind, d.Object, report.Value(d.Desired, nil), report.Value(d.Actual, nil), shortTime(d.Since), stamp(&d.LastSeen), strconv.Itoa(d.Times), d.Run,
				strconv.FormatBool(d.Destructive), d.Blocked, d.Error, who, at,
			}
		},
		id: func(d *reconcile.DriftItem) string { return d.Org },
	}
}

func (a *app) getObjectsCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, objectListing())
	cmd.Use = "objects KIND"
	cmd.Args = exactly("KIND", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.kind = args[0]; f.kind != objects.Settings && objects.ByName(f.kind) == nil {
			return fmt.Errorf("%q is no kind of objects%s", text.OneLine(f.kind, maxWhat), strictyaml.DidYouMean(f.kind, objectKinds()))
		}
		return get(cmd.Context(), a, objectListing(), &f)
	}
	cmd.Short = "List the objects of one kind in all orgs: declared, live, drift"
	cmd.Long = `List the objects of one kind, such as groups or networkZones, that orgs declare, and
those beside them that nobody declares, as they were read last: at most 50 of these in
each org.` + aboutSources
	cmd.Example = `  reconciler get objects groups
  reconciler get objects networkZones --state drifted --state missing
  reconciler get objects policies -l tier=production -o csv`
	f.add(cmd.Flags(), 0, "state", "owner")
	return cmd
}

// objectKinds are the kinds that plans and lists name.
func objectKinds() []string {
	all := []string{objects.Settings}
	for _, k := range objects.Kinds() {
		if !k.Setting {
			all = append(all, k.Name)
		}
	}
	return all
}

func objectListing() *listing[reconcile.ObjectItem] {
	yes := func(is bool, word string) string {
		if is {
			return word
		}
		return ""
	}
	return &listing[reconcile.ObjectItem]{
		name: "objects", read: (*reconcile.InventoryReader).Objects,
		header: "ORG\tOBJECT\tDECLARED\tLIVE\tSTATE\tFIELDS",
		row: func(o *reconcile.ObjectItem, _ map[string]string, _ time.Time) []string {
			declared, fields := yes(o.Declared, "yes")+yes(o.Absent, "absent"), ""
			if o.Fields > 0 {
				fields = strconv.Itoa(o.Fields)
			}
			return []string{o.Org, o.Field, declared, yes(o.Live, "yes"), string(o.State), fields}
		},
		columns: []string{"org", "field", "kind", "type", "object", "declared", "absent", "live", "state", "fields"},
		cells: func(o *reconcile.ObjectItem) []string {
			return []string{
				o.Org, o.Field, o.Kind, o.Type, o.Object, strconv.FormatBool(o.Declared), strconv.FormatBool(o.Absent), strconv.FormatBool(o.Live), string(o.State), strconv.Itoa(o.Fields),
			}
		},
		id: func(o *reconcile.ObjectItem) string { return o.Org },
	}
}

// usualRuns is how many runs and changes are listed unless more are asked for.
const usualRuns = 100

func (a *app) getRunsCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, runListing())
	cmd.Short = "List runs in which something happened, newest first"
	cmd.Long = `List the runs of all commands that write, newest first: those in which something
happened, that go on, or were interrupted. With --org, --product, --selector or
--outcome, those that attempted such a change.` + aboutSources
	cmd.Example = `  reconciler get runs --since 7d
  reconciler history run $(reconciler get runs --limit 1 -o name)`
	f.add(cmd.Flags(), usualRuns, "since", "outcome")
	return cmd
}

func runListing() *listing[reconcile.RunItem] {
	changes := func(r *reconcile.RunItem) [4]int {
		if r.Changes == nil {
			return [4]int{}
		}
		return [4]int{r.Changes.Applied, r.Changes.Failed, r.Changes.Skipped, r.Changes.Blocked}
	}
	return &listing[reconcile.RunItem]{
		name: "runs", read: (*reconcile.InventoryReader).Runs,
		header: "ID\tCOMMAND\tSTARTED\tTOOK\tRESULT\tCOMMIT\tBY\tCHANGES\tERROR",
		row: func(r *reconcile.RunItem, _ map[string]string, _ time.Time) []string {
			took, what := "", ""
			if r.Finished != nil {
				took = text.Age(r.Finished.Sub(r.Started))
			}
			if r.Changes != nil {
				var all []string
				for i, n := range changes(r) {
					if n > 0 {
						all = append(all, fmt.Sprintf("%d %s", n, []string{"applied", "failed", "skipped", "blocked"}[i]))
					}
				}
				what = strings.Join(all, ", ")
			}
			return []string{
				r.ID, strings.TrimSpace(r.Command + " " + parenthesized(r.Trigger)), shortTime(r.Started), took, cmp.Or(r.Result, "goes on"), short(r.Commit),
				cmp.Or(r.RequestedBy, r.By), what, text.OneLine(r.Error, maxWhat),
			}
		},
		columns: []string{"id", "command", "trigger", "mode", "by", "requestedBy", "started", "finished", "commit", "signer", "digest", "result", "error", "applied", "failed", "skipped", "blocked"},
		cells: func(r *reconcile.RunItem) []string {
			row := []string{
				r.ID, r.Command, r.Trigger, r.Mode, r.By, r.RequestedBy, shortTime(r.Started), stamp(r.Finished), r.Commit, r.Signer, r.Digest, r.Result, r.Error,
			}
			for _, n := range changes(r) {
				row = append(row, strconv.Itoa(n))
			}
			return row
		},
		id: func(r *reconcile.RunItem) string { return r.ID },
	}
}

func (a *app) getChangesCommand() *cobra.Command {
	var f inventoryFlags
	cmd := inventoryCommand(a, &f, changeListing())
	cmd.Short = "List the changes that runs attempted, newest first"
	cmd.Long = `List the changes that runs attempted, newest first, with their outcomes. With --product,
those that give or take it. Drift, and what operators did, is in "reconciler history".` + aboutSources
	cmd.Example = `  reconciler get changes --since 24h
  reconciler get changes --since 24h --outcome failed
  reconciler get changes --product mfa -o csv > mfa.csv`
	f.add(cmd.Flags(), usualRuns, "since", "run", "outcome")
	return cmd
}

func changeListing() *listing[history.Entry] {
	return &listing[history.Entry]{
		name: "changes", read: (*reconcile.InventoryReader).Changes,
		header: "TIME\tORG\tACTION\tWHAT\tOUTCOME\tWHO\tRUN\tCOMMIT\tREQUEST",
		row: func(e *history.Entry, names map[string]string, _ time.Time) []string {
			return append(entryRow(e, names), strings.TrimSpace(e.RequestID+" "+e.ErrorID))
		},
		columns: entryColumns(),
		cells:   entryCells,
		id:      func(e *history.Entry) string { return e.Org },
	}
}
