package objects

// features are the switches of an org's self-service features, early access and beta.
// A feature that Okta makes generally available leaves the list.
var features = &Kind{
	Name: "features", Title: "feature",
	Doc:   "Self-service features in early access or beta, switched on or off.",
	Fixed: true, Pushed: true, Key: "name",
	Fields: []Field{
		{Name: "name", Required: true, Doc: "The feature's name, as the Admin Console shows it."},
		{
			Name: "status", Enum: []string{"ENABLED", "DISABLED"},
			Doc: "Whether the feature is switched on. Some can't be switched off again.",
			Actions: []Action{
				{Value: "ENABLED", Path: "/api/v1/features/{id}/ENABLE"},
				{Value: "DISABLED", Path: "/api/v1/features/{id}/DISABLE"},
			},
		},
		{Name: "description", Doc: "What the feature brings.", ReadOnly: true, Why: byOkta},
		{Name: "stage", Type: Anything, Doc: "How far the feature is: early access or beta.", ReadOnly: true, Why: byOkta},
		{Name: "type", Doc: "Always self-service.", ReadOnly: true, Why: byOkta},
	},
	API: API{
		Collection: "/api/v1/features",
		Write:      "POST",
		Requires:   "/api/v1/features/{id}/dependencies",
		RequiredBy: "/api/v1/features/{id}/dependents",
		Scope:      "okta.features",
		Events:     []string{"system.feature.", "system.beta.feature.", "support.org.update"},
	},
}
