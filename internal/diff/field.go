package diff

import "cmp"

// The fields in which desired and actual can differ, as in plans, reviews, drift
// and metrics. They are keys of the manifest, but for the first three.
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

var fieldOf = map[Action]string{
	RenameAccount:   FieldAccountName,
	CreateOrg:       FieldExists,
	LinkOrg:         FieldLinked,
	UpdateProducts:  FieldProducts,
	SetStatus:       FieldStatus,
	RequestDeletion: FieldRequestDeletion,
}

// ValueOf returns a value of an object's field: a list of words, one word, nothing, or
// else its JSON as a word.
func ValueOf(v any) Value {
	switch v := v.(type) {
	case nil:
		return Value{}
	case string:
		return Text(v)
	case []any:
		words := []string{}
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return Text(jsonText(v))
			}
			words = append(words, s)
		}
		return List(words)
	}
	return Text(jsonText(v))
}

// FieldOf returns the field that an action writes.
func FieldOf(a Action) string { return cmp.Or(fieldOf[a], string(a)) }

// declaredField returns the field for reviews: an org is created or linked
// because it is declared.
func declaredField(a Action) string {
	if a == CreateOrg || a == LinkOrg {
		return FieldDeclared
	}
	return FieldOf(a)
}
