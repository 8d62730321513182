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
	Version     At[int]                    `yaml:"version" jsonschema:"required,enum=1" doc:"Version of the manifest format: 1."`
	Account     At[manifestAccount]        `yaml:"account" doc:"The Aerial account that these orgs belong to."`
	Products    At[Map[At[product]]]       `yaml:"products" doc:"Names for product ids. They apply to all files."`
	ProductSets At[Map[At[members]]]       `yaml:"productSets" doc:"Named sets of products; a set may contain other sets. They apply to all files."`
	Baselines   At[Map[At[configuration]]] `yaml:"baselines" doc:"Named configurations, to be used by many orgs. They apply to all files."`
	Defaults    At[manifestDefaults]       `yaml:"defaults" doc:"Defaults of the orgs of this file."`
	Orgs        At[[]At[manifestOrg]]      `yaml:"orgs" doc:"The declared orgs. An org that is not declared is never touched."`
}

type manifestAccount struct {
	ID   At[resourceID] `yaml:"id" doc:"Id of the account. Rejected if it isn't the configured one."`
	Name At[line]       `yaml:"name" doc:"Name of the account. Not managed when it is left out."`
}

// product is a product with a name: its id, or a mapping with more.
type product struct {
	ID    At[productID] `yaml:"id" jsonschema:"required" doc:"The product's id."`
	Limit At[int]       `yaml:"limit" jsonschema:"minimum=1" doc:"How many orgs that are not INACTIVE may be declared to have it. More are a warning."`
}

// ShortKey implements strictyaml.Short.
func (product) ShortKey() string { return "id" }

// manifestDefaults are the keys of an org that may have a default in the file.
type manifestDefaults struct {
	Cell          At[cell]                `yaml:"cell" doc:"The cell that the orgs live in."`
	Status        At[Status]              `yaml:"status" doc:"Nobody can sign in to an INACTIVE org. Not managed when it is left out."`
	Products      At[products]            `yaml:"products" doc:"Products of the orgs, by name or id; [] means none. An org's own list replaces this one."`
	ProductSets   At[productSets]         `yaml:"productSets" doc:"Product sets of the orgs. An org's own list replaces this one."`
	ProductPolicy At[ProductPolicy]       `yaml:"productPolicy" doc:"exact (default): these products and no others. additive: at least these. ignore: products are not compared."`
	Mode          At[Mode]                `yaml:"mode" doc:"apply (default): differences are applied. report: they are only reported."`
	Protected     At[bool]                `yaml:"protected" doc:"Protected orgs are never deactivated and never lose a product."`
	Labels        At[Map[At[labelValue]]] `yaml:"labels" doc:"Labels of the orgs, to select them by and to use as ${label.NAME}. Those of an org are laid over these."`
	Owner         At[line]                `yaml:"owner" doc:"Who answers for the orgs."`
	Vars          At[Map[At[varValue]]]   `yaml:"vars" doc:"Variables, for ${NAME} in baselines and configuration. Those of an org are laid over these."`
	Baselines     At[baselines]           `yaml:"baselines" doc:"Baselines of the orgs; later ones win. An org's own list replaces this one."`
}

type manifestOrg struct {
	Domain          At[domain]              `yaml:"domain" jsonschema:"required" doc:"The org's domain: its key, unique, compared without case."`
	ID              At[resourceID]          `yaml:"id" doc:"The org's id. It is then linked by id, and must be the live org's id."`
	Cell            At[cell]                `yaml:"cell" doc:"The cell that the org lives in."`
	Status          At[Status]              `yaml:"status" doc:"Nobody can sign in to an INACTIVE org. Not managed when it is left out."`
	Products        At[products]            `yaml:"products" doc:"Products of the org, by name or id, besides those of productSets; [] means none."`
	ProductSets     At[productSets]         `yaml:"productSets" doc:"Product sets of the org."`
	ProductPolicy   At[ProductPolicy]       `yaml:"productPolicy" doc:"exact (default): these products and no others. additive: at least these. ignore: products are not compared."`
	Mode            At[Mode]                `yaml:"mode" doc:"apply (default): differences are applied. report: they are only reported."`
	Protected       At[bool]                `yaml:"protected" doc:"A protected org is never deactivated and never loses a product, whatever else is written here."`
	Labels          At[Map[At[labelValue]]] `yaml:"labels" doc:"Labels, to select the org by and to use as ${label.NAME}. They are laid over the default ones."`
	Owner           At[line]                `yaml:"owner" doc:"Who answers for the org."`
	Vars            At[Map[At[varValue]]]   `yaml:"vars" doc:"Variables, for ${NAME} in baselines and configuration. They are laid over the default ones."`
	Baselines       At[baselines]           `yaml:"baselines" doc:"Baselines of the org; later ones win. The list replaces the default one; [] means none."`
	Configuration   At[configuration]       `yaml:"configuration" doc:"The org's own configuration, laid over its baselines."`
	Access          At[manifestAccess]      `yaml:"access" doc:"How the org's own API is reached."`
	Create          At[*manifestCreate]     `yaml:"create" doc:"How to create the org if it doesn't exist. Needs a cell."`
	RequestDeletion At[bool]                `yaml:"requestDeletion" doc:"Asks Okta to delete the org: only for sandbox and partner accounts, and only with status INACTIVE."`
}

type manifestAccess struct {
	ClientID At[resourceID] `yaml:"clientID" jsonschema:"required" doc:"Client id of the API service app in this org. Its key is in the config."`
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

// baselines is a list of names of baselines.
type baselines []At[ref]

// configuration is a baseline, or the configuration of one org: objects by their
// kinds, as Okta's API has them.
type configuration struct{ strictyaml.Value }

// SchemaKeywords refers to a schema that is made from the tables of kinds.
func (configuration) SchemaKeywords() map[string]any {
	return map[string]any{"$ref": "#/$defs/configuration"}
}

// Values returns the statuses that a manifest may ask for.
func (Status) Values() []string { return []string{string(Active), string(Inactive)} }

// Values returns the product policies.
func (ProductPolicy) Values() []string {
	return []string{string(Exact), string(Additive), string(Ignore)}
}

// Values returns the modes.
func (Mode) Values() []string { return []string{string(Apply), string(Report)} }
