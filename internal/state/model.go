package state

import (
	"reconciler/internal/strictyaml"
)

// Pos is a place in a manifest.
type Pos = strictyaml.Pos

// Status is an org's status in the Aerial account. Nobody can sign in to an
// INACTIVE org, and it is not billed.
type Status string

const (
	Active   Status = "ACTIVE"
	Inactive Status = "INACTIVE"
)

// ProductPolicy says how an org's declared products are to be read.
type ProductPolicy string

const (
	// Exact: the org has the declared products and no others.
	Exact ProductPolicy = "exact"
	// Additive: the org has at least the declared products.
	Additive ProductPolicy = "additive"
	// Ignore: the org's products are not looked at.
	Ignore ProductPolicy = "ignore"
)

// Mode reports whether differences are mended or only told.
type Mode string

const (
	Apply  Mode = "apply"
	Report Mode = "report"
)

// Desired is what the manifests declare, merged from all files and documents.
// It is complete: defaults are filled in and product names are resolved to ids.
type Desired struct {
	Account DesiredAccount
	// Products maps the names that the manifests give to products onto
	// product ids.
	Products map[string]string
	// Orgs is sorted by domain and never empty: an empty desired state is an
	// error of the loader.
	Orgs []DesiredOrg
}

// DesiredAccount is what the manifests say of the account itself; empty
// fields are not managed.
type DesiredAccount struct {
	ID      string
	IDPos   Pos
	Name    string
	NamePos Pos
}

// DesiredOrg is one declared org.
type DesiredOrg struct {
	// Domain is the key, in lower case.
	Domain string
	// ID is the org's id, or empty when the manifest doesn't give one.
	ID string
	// Cell is in lower case, or empty when the manifest doesn't give one.
	Cell string
	// Status is empty when it is not managed.
	Status Status
	// Products are product ids, sorted and without repeats. Nil means that
	// products are not managed; empty means that the org has none. The two
	// must never be mixed up.
	Products []string
	// ProductPolicy is never empty.
	ProductPolicy ProductPolicy
	// Mode is never empty.
	Mode Mode
	// Protected orgs are never deactivated and never lose a product.
	Protected bool
	// Create says how to make the org if it doesn't exist; nil means that an
	// org that doesn't exist can't be linked and is an error of Okta's.
	Create *Create
	// RequestDeletion asks Okta to delete the (INACTIVE) org.
	RequestDeletion bool
	// Pos is where the org is declared.
	Pos Pos
	// ProductPos is where each of Products was first named, by product id.
	ProductPos map[string]Pos
}

// ManagesProducts reports whether the org's products are compared with the live
// ones at all, and so whether they need to be read.
func (o *DesiredOrg) ManagesProducts() bool {
	return o.Products != nil && o.ProductPolicy != Ignore
}

// Create is how a new org is made: through the Org Creator API of a parent.
type Create struct {
	// Parent is the name of a parent org in the config.
	Parent string `json:"parent"`
	// Name is the organization's display name, 1 to 100 characters.
	Name    string `json:"name"`
	Website string `json:"website,omitempty"`
	// Admin becomes the first super administrator.
	Admin Admin `json:"admin"`
}

// Admin is the first super administrator of a new org.
type Admin struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	Login     string `json:"login"`
}

// Actual is what the Aerial API says: whole, or not there at all.
type Actual struct {
	Account Account
	// Catalog holds the products that the account subscribes to, by id.
	Catalog []Product
	// Orgs are the managed orgs, sorted by domain, then id.
	Orgs []Org
}

// Account is the Aerial account.
type Account struct {
	ID   string
	Name string
}

// Product is a bundle of features that Okta sells.
type Product struct {
	ID   string
	Name string
}

// Org is one managed org as the Aerial API describes it. Any field but ID may
// be empty: Okta may leave fields out.
type Org struct {
	ID string
	// Domain and Cell are in lower case.
	Domain string
	Cell   string
	Name   string
	Region string
	Status Status
	// AerialOrg marks the org that is the authorization server of the account.
	AerialOrg bool
	// Products are the ids of the enabled products, sorted. Nil means that
	// they were not read; empty means that the org has none.
	Products []string
	// Unknown says why the org's products could not be read; such an org must
	// not be written. Empty means that what was asked for was read.
	Unknown string
}
