// Package page is what people see of a daemon in a browser: pages made from what the API
// says, which work without scripts.
package page

import (
	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
)

// Source is what the pages show. The API answers with the same.
type Source interface {
	// Status returns the status as of now.
	Status() api.Status
	Orgs(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.OrgItem], error)
	// Org returns nil if an org is neither declared nor live.
	Org(domain string) (*reconcile.OrgDetail, error)
	Products(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.ProductItem], error)
	Drift(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.DriftItem], error)
	Runs(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.RunItem], error)
	Changes(q *reconcile.InventoryQuery) (*reconcile.Page[history.Entry], error)
	// Objects are those of the orgs' configuration, and Kinds counts them.
	Objects(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.ObjectItem], error)
	Kinds(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.KindItem], error)
	// Features are those of the declared orgs beside their parents'.
	Features(q *reconcile.InventoryQuery) (*reconcile.Page[report.FeatureColumn], error)
	// History is what happened: changes, drift with how it ended, and what operators did.
	History(q *reconcile.InventoryQuery) (*reconcile.Page[history.Entry], error)
	// Run returns nil if a run is not known.
	Run(id string) (*api.RunInfo, error)
}
