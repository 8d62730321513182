package objects

// threatInsight is what Okta does with requests from suspicious addresses.
var threatInsight = &Kind{
	Name: "threatInsight", Title: "ThreatInsight setting", Setting: true,
	Doc: "What happens to requests from addresses that Okta knows as suspicious.",
	Fields: []Field{
		{Name: "action", Required: true, Enum: []string{"none", "audit", "block"}, Doc: "Do nothing, log the requests, or block them as well."},
		references("excludeZones", "networkZones", "The names of the network zones (of type IP) that are never blocked."),
	},
	API: API{
		Collection: "/api/v1/threats/configuration",
		Write:      "POST",
		Scope:      "okta.threatInsights",
		Events:     []string{"security.threat.configuration."},
	},
}

// general is what the org says of itself.
var general = &Kind{
	Name: "general", Title: "general setting", Setting: true,
	Doc: "What the org says of itself: company, address and support.",
	Fields: []Field{
		line("companyName", "The company's name."),
		line("website", "The company's web site."),
		line("phoneNumber", "The company's phone number."),
		line("supportPhoneNumber", "The phone number of the help desk."),
		line("endUserSupportHelpURL", "The address of the help page for end users."),
		line("address1", "The first line of the company's address."),
		line("address2", "The second line of the company's address."),
		line("city", "The city of the company's address."),
		line("state", "The state of the company's address."),
		line("postalCode", "The postal code of the company's address."),
		line("country", "The country of the company's address."),
		{Name: "subdomain", Doc: "The org's subdomain.", ReadOnly: true, Why: byOkta},
		{Name: "status", Doc: "Whether the org is active.", ReadOnly: true, Why: "the status of an org stands beside its products"},
		{Name: "expiresAt", Doc: "When the org ends.", ReadOnly: true, Why: byOkta},
	},
	API: API{Collection: "/api/v1/org", Write: "POST", Scope: "okta.orgs", Events: orgEvents},
}

// line returns a text that Okta returns as an empty one or as null if it isn't set.
func line(name, doc string) Field {
	return Field{Name: name, Doc: doc, Nullable: true, Empty: ""}
}

var orgEvents = []string{"system.org.", "support.org.update"}

// toggle returns a setting that is on or off.
func toggle(name, title, doc, field, fieldDoc string, api API) *Kind {
	return &Kind{
		Name: name, Title: title, Doc: doc, Setting: true, API: api,
		Fields: []Field{{Name: field, Type: Boolean, Required: true, Doc: fieldDoc}},
	}
}

var thirdPartyAdmin = toggle("thirdPartyAdmin", "third-party admin setting",
	"Whether people of other companies may be admins.",
	"thirdPartyAdmin", "Whether admins can be third-party admins, who get no mail from Okta.",
	API{Collection: "/api/v1/org/orgSettings/thirdPartyAdminSetting", Write: "POST", Scope: "okta.orgs", Events: orgEvents})

var autoAssignAdminApp = toggle("autoAssignAdminApp", "Admin Console assignment setting",
	"Whether new admins get the Admin Console at once.",
	"autoAssignAdminAppSetting", "Whether whoever gets an admin role is assigned the Admin Console.",
	API{Collection: "/api/v1/org/settings/autoAssignAdminAppSetting", Write: "POST", Scope: "okta.orgs", Events: orgEvents})

var clientPrivileges = toggle("clientPrivileges", "client privileges setting",
	"Whether new public clients get all rights.",
	"clientPrivilegesSetting", "Whether a new public client app gets the role of a super admin.",
	API{Collection: "/api/v1/org/settings/clientPrivilegesSetting", Write: "PUT", Scope: "okta.orgs", Events: orgEvents})

var adminConsoleSession = &Kind{
	Name: "adminConsoleSession", Title: "Admin Console session", Setting: true,
	Doc: "How long admins stay signed in to the Admin Console.",
	Fields: []Field{
		{Name: "sessionIdleTimeoutMinutes", Type: Integer, Min: new(5), Max: new(720), Doc: "After how many idle minutes the session ends."},
		{Name: "sessionMaxLifetimeMinutes", Type: Integer, Min: new(5), Max: new(10080), Doc: "After how many minutes the session ends in any case."},
	},
	API: API{
		Collection: "/api/v1/first-party-app-settings/admin-console",
		Write:      "PUT",
		Scope:      "okta.apps",
		Events:     []string{"application.lifecycle.update"},
	},
}

var userLockout = toggle("userLockout", "user lockout setting",
	"Whether guessing from unknown devices can lock a user out.",
	"preventBruteForceLockoutFromUnknownDevices", "Whether wrong passwords from unknown devices don't lock the user out on known ones.",
	API{Collection: "/attack-protection/api/v1/user-lockout-settings", Write: "PUT", Scope: "okta.orgs", Events: orgEvents})

// called returns a setting that is on or off, each reached by a call of its own.
func called(k *Kind, on, off string) *Kind {
	k.Fields[0].Actions = []Action{{Value: true, Path: on}, {Value: false, Path: off}}
	return k
}

var endUserFooter = called(toggle("endUserFooter", "end-user footer",
	"Whether the End-User Dashboard has a footer.",
	"showEndUserFooter", "Whether the footer is shown.",
	API{Collection: "/api/v1/org/preferences", Write: "POST", Scope: "okta.orgs", Events: orgEvents}),
	"/api/v1/org/preferences/showEndUserFooter", "/api/v1/org/preferences/hideEndUserFooter")

var communication = called(toggle("communication", "communication setting",
	"Whether Okta sends mail to the end users.",
	"optOutEmailUsers", "Whether Okta sends no mail to the end users.",
	API{Collection: "/api/v1/org/privacy/oktaCommunication", Write: "POST", Scope: "okta.orgs", Events: orgEvents}),
	"/api/v1/org/privacy/oktaCommunication/optOut", "/api/v1/org/privacy/oktaCommunication/optIn")

var rateLimitEvents = []string{"system.rate_limit.configuration."}

var rateLimitNotifications = toggle("rateLimitNotifications", "rate limit notification setting",
	"Whether admins are told of rate limits.",
	"notificationsEnabled", "Whether admins get a mail when a rate limit is near or reached.",
	API{Collection: "/api/v1/rate-limit-settings/admin-notifications", Write: "PUT", Scope: "okta.rateLimits", Events: rateLimitEvents})

var rateLimitWarning = &Kind{
	Name: "rateLimitWarning", Title: "rate limit warning", Setting: true,
	Doc: "From when on Okta warns of a rate limit.",
	Fields: []Field{{
		Name: "warningThreshold", Type: Integer, Required: true, Min: new(30), Max: new(90),
		Doc: "The percent of a rate limit from which on Okta warns.",
	}},
	API: API{Collection: "/api/v1/rate-limit-settings/warning-threshold", Write: "PUT", Scope: "okta.rateLimits", Events: rateLimitEvents},
}

// perClientMode returns what happens to a client that passes its own rate limit.
func perClientMode(name, doc string) Field {
	return Field{Name: name, Enum: []string{"DISABLE", "ENFORCE", "PREVIEW"}, Doc: doc}
}

var rateLimitPerClient = &Kind{
	Name: "rateLimitPerClient", Title: "per-client rate limit", Setting: true,
	Doc: "What happens to a single client that sends too much.",
	Fields: []Field{
		withRequired(perClientMode("defaultMode", "Nothing, refuse the requests, or log them.")),
		{
			Name: "useCaseModeOverrides", Type: Mapping, Nullable: true, Doc: "What happens in certain cases instead.",
			Fields: []Field{
				perClientMode("LOGIN_PAGE", "For the sign-in page."),
				perClientMode("OAUTH2_AUTHORIZE", "For the /authorize endpoint."),
				perClientMode("OIE_APP_INTENT", "For sign-ins to apps in Identity Engine."),
			},
		},
	},
	API: API{Collection: "/api/v1/rate-limit-settings/per-client", Write: "PUT", Scope: "okta.rateLimits", Events: rateLimitEvents},
}
