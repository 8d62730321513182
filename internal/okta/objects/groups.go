package objects

// groups are the groups that Okta keeps itself, without their members. Groups that an
// app or a directory brings are not among them.
var groups = &Kind{
	Name: "groups", Title: "group",
	Doc: "Groups, without their members. Their profile may have the org's custom attributes.",
	Key: "profile.name",
	// Okta has these in every org. They can't be changed.
	BuiltIn: []string{"Everyone", "Okta Administrators"},
	Fields: []Field{
		{
			Name: "profile", Type: Mapping, Required: true, Free: true, SystemFixed: true,
			Doc: "What describes the group.",
			Fields: []Field{
				{Name: "name", Required: true, Min: new(1), Max: new(255), Doc: "The group's name."},
				{Name: "description", Max: new(1024), Nullable: true, Empty: "", Doc: "What the group is for."},
			},
		},
		{Name: "type", Enum: []string{"OKTA_GROUP"}, ReadOnly: true, Why: byOkta, Doc: "Who keeps the group."},
		{Name: "objectClass", Type: Anything, Doc: "Which profile the group has.", ReadOnly: true, Why: byOkta},
		{Name: "lastMembershipUpdated", Doc: "When a member came or left.", ReadOnly: true, Why: byOkta},
		{Name: "source", Type: Anything, Doc: "Where the group comes from.", ReadOnly: true, Why: byOkta},
	},
	Oddities: Oddities{
		Origin: func(raw map[string]any) (system, ours bool) {
			system = raw["type"] == "BUILT_IN"
			return system, system || raw["type"] == "OKTA_GROUP"
		},
	},
	API: API{
		Collection:   "/api/v1/groups",
		Query:        `limit=200&filter=type+eq+%22OKTA_GROUP%22`,
		BuiltInQuery: `limit=200&filter=type+eq+%22BUILT_IN%22`,
		Paged:        true,
		Write:        "PUT",
		Scope:        "okta.groups",
		Events:       []string{"group.lifecycle.", "group.profile."},
	},
}
