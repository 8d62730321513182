package diff

// The fields in which desired and actual can differ: the one vocabulary of plans,
// reviews, drift and metrics. They are keys of the manifest, but for what an org
// as a whole is.
const (
	FieldDeclared = "declared" // whether manifests declare the org; in reviews
	FieldExists   = "exists"   // whether the org was created
	FieldLinked   = "linked"   // whether the org is linked to the account

	FieldDomain          = "domain"
	FieldID              = "id"
	FieldCell            = "cell"
	FieldProducts        = "products"
	FieldStatus          = "status"
	FieldRequestDeletion = "requestDeletion"

	// Those of the account.
	FieldAccountID   = "account.id"
	FieldAccountName = "account.name"
)

// FieldOf returns the field that an action writes.
func FieldOf(a Action) string {
	switch a {
	case RenameAccount:
		return FieldAccountName
	case CreateOrg:
		return FieldExists
	case LinkOrg:
		return FieldLinked
	case UpdateProducts:
		return FieldProducts
	case SetStatus:
		return FieldStatus
	case RequestDeletion:
		return FieldRequestDeletion
	default:
		return string(a)
	}
}

// declaredField is FieldOf for reviews: that an org is created or linked follows
// from its being declared.
func declaredField(a Action) string {
	switch field := FieldOf(a); field {
	case FieldExists, FieldLinked:
		return FieldDeclared
	default:
		return field
	}
}
