package state

import (
	"reconciler/internal/strictyaml"
)

// The types of this file are a manifest as it is written, before defaults are
// filled in and names are resolved. The decoder reads into them, and the JSON
// Schema is generated from them.

// At is a value with its position in the manifest.
type At[T any] = strictyaml.At[T]

// Map is a mapping with the positions of its keys.
type Map[T any] = strictyaml.Map[T]

// manifest is one document.
type manifest struct {
	Version     At[int]                `yaml:"version" jsonschema:"required,enum=1" doc:"Version of the manifest format: 1."`
	Account     At[manifestAccount]    `yaml:"account" doc:"The Aerial account that these orgs belong to."`
	Products    At[Map[At[productID]]] `yaml:"products" doc:"Names for product ids. They apply to all files."`
	ProductSets At[Map[At[members]]]   `yaml:"productSets" doc:"Named sets of products; a set may contain other sets. They apply to all files."`
	Defaults    At[manifestDefaults]   `yaml:"defaults" doc:"Defaults of the orgs of this file."`
	Orgs        At[[]At[manifestOrg]]  `yaml:"orgs" doc:"The declared orgs. An org that is not declared is never touched."`
}

type manifestAccount struct {
	ID   At[resourceID] `yaml:"id" doc:"Id of the account. Rejected if it isn't the configured one."`
	Name At[line]       `yaml:"name" doc:"Name of the account. Not managed when it is left out."`
}

// manifestDefaults are the keys of an org that may have a default in the file.
type manifestDefaults struct {
	Cell          At[cell]          `yaml:"cell" doc:"The cell that the orgs live in."`
	Status        At[Status]        `yaml:"status" doc:"Nobody can sign in to an INACTIVE org. Not managed when it is left out."`
	Products      At[products]      `yaml:"products" doc:"Products of the orgs, by name or id; [] means none. An org's own list replaces this one."`
	ProductSets   At[productSets]   `yaml:"productSets" doc:"Product sets of the orgs. An org's own list replaces this one."`
	ProductPolicy At[ProductPolicy] `yaml:"productPolicy" doc:"exact (default): these products and no others. additive: at least these. ignore: products are not compared."`
	Mode          At[Mode]          `yaml:"mode" doc:"apply (default): differences are applied. report: they are only reported."`
	Protected     At[bool]          `yaml:"protected" doc:"Protected orgs are never deactivated and never lose a product."`
}

type manifestOrg struct {
	Domain          At[domain]          `yaml:"domain" jsonschema:"required" doc:"The org's domain: its key, unique, compared without case."`
	ID              At[resourceID]      `yaml:"id" doc:"The org's id. It is then linked by id, and must be the live org's id."`
	Cell            At[cell]            `yaml:"cell" doc:"The cell that the org lives in."`
	Status          At[Status]          `yaml:"status" doc:"Nobody can sign in to an INACTIVE org. Not managed when it is left out."`
	Products        At[products]        `yaml:"products" doc:"Products of the org, by name or id, besides those of productSets; [] means none."`
	ProductSets     At[productSets]     `yaml:"productSets" doc:"Product sets of the org."`
	ProductPolicy   At[ProductPolicy]   `yaml:"productPolicy" doc:"exact (default): these products and no others. additive: at least these. ignore: products are not compared."`
	Mode            At[Mode]            `yaml:"mode" doc:"apply (default): differences are applied. report: they are only reported."`
	Protected       At[bool]            `yaml:"protected" doc:"A protected org is never deactivated and never loses a product, whatever else is written here."`
	Create          At[*manifestCreate] `yaml:"create" doc:"How to create the org if it doesn't exist. Needs a cell."`
	RequestDeletion At[bool]            `yaml:"requestDeletion" doc:"Asks Okta to delete the org: only for sandbox and partner accounts, and only with status INACTIVE."`
}

type manifestCreate struct {
	Parent  At[line]          `yaml:"parent" jsonschema:"required" doc:"Name of a parent org in the config."`
	Name    At[orgName]       `yaml:"name" jsonschema:"required" doc:"The organization's display name."`
	Website At[website]       `yaml:"website" doc:"The organization's website."`
	Admin   At[manifestAdmin] `yaml:"admin" jsonschema:"required" doc:"The first super administrator."`
}

type manifestAdmin struct {
	FirstName At[line]  `yaml:"firstName" jsonschema:"required" doc:"First name."`
	LastName  At[line]  `yaml:"lastName" jsonschema:"required" doc:"Last name."`
	Email     At[email] `yaml:"email" jsonschema:"required" doc:"Where Okta's mails go."`
	Login     At[line]  `yaml:"login" jsonschema:"required" doc:"What the administrator signs in with; usually the email."`
}

// members are what a product set contains: products and other sets.
type members []At[ref]

// products is a list of product names or ids.
type products []At[ref]

// productSets is a list of names of product sets.
type productSets []At[ref]

// Values returns the statuses that a manifest may ask for.
func (Status) Values() []string { return []string{string(Active), string(Inactive)} }

// Values returns the product policies.
func (ProductPolicy) Values() []string {
	return []string{string(Exact), string(Additive), string(Ignore)}
}

// Values returns the modes.
func (Mode) Values() []string { return []string{string(Apply), string(Report)} }
