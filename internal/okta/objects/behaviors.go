package objects

// behaviors are what sign-in policies can compare a sign-in with.
var behaviors = &Kind{
	Name: "behaviors", Title: "behavior",
	Doc: "Behaviors: what is unusual about a sign-in.",
	Key: "name",
	Fields: []Field{
		{Name: "name", Required: true, Max: new(128), Doc: "The behavior's name."},
		{
			Name: "type", Required: true, Immutable: true, Enum: behaviorTypes,
			Doc: "What is looked at. It can't be changed.",
		},
		lifecycle,
		{
			Name: "settings", Type: Mapping, Doc: "When it counts as unusual.",
			Fields: []Field{
				lastEvents(1, "ANOMALOUS_ASN", "ANOMALOUS_DEVICE", "ANOMALOUS_LOCATION"),
				lastEvents(0, "ANOMALOUS_IP"),
				{
					Name: "minEventsNeededForEvaluation", Type: Integer, Min: new(0), Max: new(10), Types: behaviorTypes[:4],
					Doc: "How many sign-ins there must be before anything is unusual.",
				},
				{
					Name: "granularity", Enum: []string{"CITY", "COUNTRY", "LAT_LONG", "SUBDIVISION"}, Required: true,
					Types: []string{"ANOMALOUS_LOCATION"}, Doc: "How exactly places are compared.",
				},
				{
					Name: "radiusKilometers", Type: Number, Min: new(0), Types: []string{"ANOMALOUS_LOCATION"},
					Doc: "How far away a place may be, if granularity is LAT_LONG.",
				},
				{
					Name: "velocityKph", Type: Number, Min: new(1), Required: true, Types: []string{"VELOCITY"},
					Doc: "The speed in km/h above which a sign-in is unusual.",
				},
			},
		},
	},
	API: API{
		Collection: "/api/v1/behaviors",
		Paged:      true,
		Write:      "PUT",
		Lifecycle:  true,
		// That an ACTIVE one can't be deleted is unconfirmed.
		DeactivateFirst: true,
		Scope:           "okta.behaviors",
		Events:          []string{"security.behavior.settings."},
	},
}

// behaviorTypes has those that look at past sign-ins first.
var behaviorTypes = []string{"ANOMALOUS_ASN", "ANOMALOUS_DEVICE", "ANOMALOUS_IP", "ANOMALOUS_LOCATION", "VELOCITY"}

// lastEvents returns the field for the number of past sign-ins.
func lastEvents(least int, types ...string) Field {
	return Field{
		Name: "maxEventsUsedForEvaluation", Type: Integer, Min: new(least), Max: new(100), Types: types,
		Doc: "How many of the last sign-ins are looked at.",
	}
}
