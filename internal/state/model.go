package state

import (
	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// Pos is a position in a manifest.
type Pos = strictyaml.Pos

// Status is an org's status in the Aerial account. Nobody can sign in to an
// INACTIVE org, and it is not billed.
type Status string

const (
	Active   Status = "ACTIVE"
	Inactive Status = "INACTIVE"
)

// ProductPolicy is how an org's declared products are compared with the actual
// ones.
type ProductPolicy string

const (
	// Exact: the org has the declared products and no others.
	Exact ProductPolicy = "exact"
	// Additive: the org has at least the declared products.
	Additive ProductPolicy = "additive"
	// Ignore: the org's products are not compared.
	Ignore ProductPolicy = "ignore"
)

// Mode is whether differences are applied or only reported.
type Mode string

const (
	Apply  Mode = "apply"
	Report Mode = "report"
)

// Desired is what the manifests declare, merged from all files and documents.
// It is complete: defaults are filled in and product names are resolved to ids.
type Desired struct {
	Account DesiredAccount
	// Products maps the product names of the manifests to product ids.
	Products map[string]string
	// Limits are the limits of products, by product id.
	Limits map[string]Limit `json:",omitempty"`
	// Orgs is sorted by domain. Load never returns it empty.
	Orgs []DesiredOrg
}

// Limit is how many orgs are to have a product at most.
type Limit struct {
	// Name is the name of the product that the limit is given with; the first of several.
	Name string
	Max  int
	Pos  Pos
}

// DesiredAccount is what the manifests declare of the account itself; empty
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
	// ID is the org's id, or empty.
	ID string
	// Cell is in lower case, or empty.
	Cell string
	// Status is empty if it is not managed.
	Status Status
	// Products are product ids, sorted and without repeats. Nil means that
	// products are not managed; empty means that the org has none.
	Products []string
	// ProductPolicy is never empty.
	ProductPolicy ProductPolicy
	// Mode is never empty.
	Mode Mode
	// Protected orgs are never deactivated and never lose a product.
	Protected bool
	// Create is how to create the org if it doesn't exist. Nil means that it
	// isn't created: linking it then fails with Okta's error.
	Create *Create
	// RequestDeletion asks Okta to delete the (INACTIVE) org.
	RequestDeletion bool
	// Labels and Vars are by their names, and may be nil.
	Labels, Vars map[string]string `json:",omitempty"`
	// Owner is who answers for the org, or empty.
	Owner string `json:",omitempty"`
	// ClientID is the API service app in this org; empty if it isn't declared.
	ClientID string `json:",omitempty"`
	// Config, which has no JSON, is what is declared of the org's own configuration; nil
	// if nothing is.
	Config *objects.Declared `json:"-"`
	// Pos is where the org is declared.
	Pos Pos
	// ProductPos is where each of Products is first named, by product id.
	ProductPos Places
	// Places are where the other values are, by their keys in the manifest, such as
	// "status" and "labels.tier"; a default is where it is given.
	Places Places `json:",omitempty"`
}

// ManagesProducts reports whether the org's products are compared with the actual
// ones, and so whether they must be read.
func (o *DesiredOrg) ManagesProducts() bool {
	return o.Products != nil && o.ProductPolicy != Ignore
}

// Create is how an org is created through the Org Creator API of a parent.
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

// Actual is what the Aerial API returned, complete.
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
	// Unknown is why the org's products could not be read; such an org must not
	// be written. It is empty if everything that was requested was read. It is the
	// same each time for the same reason.
	Unknown string
	// ErrorID is what Okta Support asks for about Unknown, such as "errorId oae1";
	// another one each time, or empty. Hint is what to do about it, or empty.
	ErrorID, Hint string
}
