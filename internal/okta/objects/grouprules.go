package objects

// groupRules put users into groups by an expression.
var groupRules = &Kind{
	Name: "groupRules", Title: "group rule",
	Doc: "Rules that put users into groups.",
	Key: "name",
	Fields: []Field{
		{Name: "name", Required: true, Min: new(1), Max: new(50), Doc: "The rule's name."},
		{Name: "type", Enum: []string{"group_rule"}, Immutable: true, Doc: "Always group_rule; may be left out."},
		{Name: "status", Enum: lifecycle.Enum, Doc: "Whether the rule is in effect. A new rule is ACTIVE unless INACTIVE is declared."},
		{
			Name: "conditions", Type: Mapping, Required: true, Doc: "Which users the rule is about.",
			Fields: []Field{
				{
					Name: "expression", Type: Mapping, Required: true, Doc: "The users for which it is true.",
					Fields: []Field{
						{Name: "type", Enum: []string{expressionType}, Doc: "The language; may be left out."},
						{
							Name: "value", Required: true,
							Doc: "An Okta expression, such as user.department==\"Sales\". Name groups by isMemberOfGroupName, as ids differ from org to org.",
						},
					},
				},
				{
					Name: "people", Type: Mapping, Doc: "Who is left out.",
					Fields: []Field{
						kept("users", "The users that the rule leaves out.", usersWhy),
						{
							Name: "groups", Type: Mapping, Doc: "The groups that the rule leaves out.",
							Fields: []Field{references("exclude", "groups", "The names of the groups.")},
						},
					},
				},
			},
		},
		{
			Name: "actions", Type: Mapping, Required: true, Doc: "What the rule does.",
			Fields: []Field{{
				Name: "assignUserToGroups", Type: Mapping, Required: true, Doc: "Puts the users into groups.",
				Fields: []Field{withRequired(references("groupIds", "groups", "The names of the groups."))},
			}},
		},
	},
	Oddities: Oddities{
		Send: func(_ Ref, _, body map[string]any) {
			setDefault(body, "type", "group_rule")
			if conditions, ok := body["conditions"].(map[string]any); ok {
				if expression, ok := conditions["expression"].(map[string]any); ok {
					setDefault(expression, "type", expressionType)
				}
			}
		},
	},
	API: API{
		Collection:      "/api/v1/groups/rules",
		Query:           "limit=200",
		Paged:           true,
		Write:           "PUT",
		Lifecycle:       true,
		WhileInactive:   true,
		DeactivateFirst: true,
		BornInactive:    true,
		Dead:            "INVALID",
		Scope:           "okta.groups",
		Events:          []string{"policy.rule."},
	},
}

const expressionType = "urn:okta:expression:1.0"

// withRequired returns f as one without which an object can't be created.
func withRequired(f Field) Field {
	f.Required = true
	return f
}

// setDefault sets a field that is not there.
func setDefault(body map[string]any, name string, v any) {
	if body[name] == nil {
		body[name] = v
	}
}
