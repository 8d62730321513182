package objects

import "fmt"

// policyRules are the rules of policies. Their type is that of their policy.
var policyRules = &Kind{
	Name: "policyRules", Title: "policy rule",
	Doc:     "The rules of a policy, in their order. The first one that fits decides.",
	Parent:  policies,
	Ordered: true,
	Key:     "name",
	Own:     []string{"Default Rule"},
	Fields: []Field{
		{Name: "name", Required: true, Doc: "The rule's name."},
		{Name: "type", Enum: []string{mfaEnroll, password, ruleTypes[signOn]}, Immutable: true, Doc: "The rule's type; follows from the policy, and may be left out."},
		{Name: "status", Enum: lifecycle.Enum, SystemFixed: true, SystemValue: "ACTIVE", Doc: lifecycle.Doc},
		{
			Name: "conditions", Type: Mapping, SystemFixed: true, Doc: "When the rule fits.",
			Fields: []Field{
				network,
				{
					Name: "people", Type: Mapping, Doc: "Whom the rule is for.",
					Fields: []Field{
						kept("users", "The users that the rule is for or leaves out.", usersWhy),
						{
							Name: "groups", Type: Mapping, Types: []string{signOn, password}, Doc: "The groups that the rule is for or leaves out.",
							Fields: []Field{
								references("include", "groups", "The names of the groups that it is for."),
								references("exclude", "groups", "The names of the groups that it leaves out."),
							},
						},
					},
				},
				{
					Name: "authContext", Type: Mapping, Types: []string{signOn}, Doc: "How the user comes in.",
					Fields: []Field{{Name: "authType", Enum: []string{"ANY", "LDAP_INTERFACE", "RADIUS"}, Doc: "Through what the user comes in."}},
				},
				{
					Name: "identityProvider", Type: Mapping, Nullable: true, Types: []string{signOn}, Needs: identityEngine,
					Doc: "Which identity provider the user comes from.",
					Fields: []Field{
						{Name: "provider", Enum: []string{"ANY", "OKTA", "SPECIFIC_IDP"}, Doc: "Any, Okta itself, or certain ones."},
						kept("idpIds", "The identity providers.", idpsWhy),
					},
				},
				{
					Name: "riskScore", Type: Mapping, Nullable: true, Types: []string{signOn}, Needs: "risk scoring",
					Doc:    "How risky the sign-in is.",
					Fields: []Field{{Name: "level", Enum: []string{"ANY", "LOW", "MEDIUM", "HIGH"}, Doc: "The level of risk."}},
				},
				{
					Name: "risk", Type: Mapping, Nullable: true, Types: []string{signOn}, Needs: "behavior detection",
					Doc:    "What is unusual about the sign-in.",
					Fields: []Field{references("behaviors", "behaviors", "The names of the behaviors.")},
				},
				withTypes(references("behaviors", "behaviors", "The names of the behaviors."), signOn),
				withTypes(kept("app", "The apps that the rule is for.", appsWhy), mfaEnroll),
			},
		},
		{
			Name: "actions", Type: Mapping, Doc: "What the rule does.",
			Fields: []Field{signOnAction, access("passwordChange", "Whether users may change their password."), resetAction,
				access("selfServiceUnlock", "Whether users may unlock themselves."), enrollAction},
		},
		madeByOkta(true),
		kept("priority", "The rule's place among the others.", "the order of the rules in the manifest decides"),
	},
	Oddities: Oddities{
		Check: func(typ string, body map[string]any) map[string]string {
			if own, ok := body["type"].(string); ok && typ != "" && own != ruleTypes[typ] {
				return map[string]string{"type": fmt.Sprintf("must be %s for a rule of a policy of the type %s, or be left out", ruleTypes[typ], typ)}
			}
			return nil
		},
		Send: func(ref Ref, _, body map[string]any) {
			if ref.Type != "" {
				setDefault(body, "type", ruleTypes[ref.Type])
			}
		},
	},
	API: API{
		Collection:     "/api/v1/policies/{parent}/rules",
		Write:          "PUT",
		Lifecycle:      true,
		CreateInactive: "activate=false",
		Scope:          "okta.policies",
		Events:         []string{"policy.rule."},
	},
}

// ruleTypes are the types of rules by the types of their policies.
var ruleTypes = map[string]string{signOn: "SIGN_ON", password: password, mfaEnroll: mfaEnroll}

// network is where a request comes from.
var network = Field{
	Name: "network", Type: Mapping, Doc: "Where the request comes from.",
	Fields: []Field{
		{Name: "connection", Enum: []string{"ANYWHERE", "ZONE"}, Doc: "Anywhere, or certain network zones."},
		zones("include", "The names of the network zones from which it fits; ALL_ZONES for all."),
		zones("exclude", "The names of the network zones from which it doesn't fit; ALL_ZONES for all."),
	},
}

// zones returns a set of names of network zones, or the word for all of them.
func zones(name, doc string) Field {
	f := references(name, "networkZones", doc)
	f.Elem.Words = []string{"ALL_ZONES"}
	return f
}

// signOnAction is what a rule for sessions does.
var signOnAction = Field{
	Name: "signon", Type: Mapping, Types: []string{signOn}, Doc: "Whether and how users get a session.",
	Fields: []Field{
		{Name: "access", Required: true, Enum: []string{"ALLOW", "DENY"}, Doc: "Whether users get in."},
		{Name: "requireFactor", Type: Boolean, Doc: "Whether a second factor is needed."},
		{Name: "factorPromptMode", Enum: []string{"ALWAYS", "DEVICE", "SESSION"}, Doc: "When the second factor is asked for."},
		{Name: "factorLifetime", Type: Integer, Min: new(0), Doc: "For how many minutes the second factor holds, if factorPromptMode is SESSION."},
		{Name: "rememberDeviceByDefault", Type: Boolean, Doc: "Whether the device is remembered unless the user says no."},
		{
			Name: "primaryFactor", Enum: []string{"PASSWORD_IDP", "PASSWORD_IDP_ANY_FACTOR"}, Needs: identityEngine,
			Doc: "Whether the first factor must be the password, or may be any that the app allows.",
		},
		{
			Name: "session", Type: Mapping, Doc: "How long the session lasts.",
			Fields: []Field{
				count("maxSessionIdleMinutes", "After how many idle minutes the session ends."),
				count("maxSessionLifetimeMinutes", "After how many minutes the session ends in any case; 0 for never."),
				flag("usePersistentCookie", "Whether the session outlives the browser."),
			},
		},
	},
}

// access returns an action that is allowed or denied by a rule for passwords.
func access(name, doc string, more ...Field) Field {
	return Field{
		Name: name, Type: Mapping, Types: []string{password}, Doc: doc,
		Fields: append([]Field{{Name: "access", Enum: []string{"ALLOW", "DENY"}, Doc: "Whether they may."}}, more...),
	}
}

// resetAction is whether and how users reset their passwords.
var resetAction = access("selfServicePasswordReset", "Whether users may reset a forgotten password.",
	Field{Name: "type", Enum: []string{"selfServicePasswordReset"}, Needs: identityEngine, Doc: "Always selfServicePasswordReset."},
	Field{
		Name: "requirement", Type: Mapping, Needs: identityEngine, Doc: "What users prove their identity with.",
		Fields: []Field{
			{Name: "accessControl", Enum: []string{"AUTH_POLICY", "LEGACY"}, Doc: "Whether the Okta account management policy decides, or this rule."},
			{
				Name: "primary", Type: Mapping, Nullable: true, Doc: "What comes first.",
				Fields: []Field{
					words("methods", "The methods that may be used.", true, "push", "sms", "voice", "email", "otp"),
					{
						Name: "methodConstraints", Type: List, Set: true, By: []string{"method"}, Doc: "Which authenticators a method may be of.",
						Elem: &Field{Type: Mapping, Doc: "One method.", Fields: []Field{
							{Name: "method", Required: true, Enum: []string{"otp"}, Open: true, Doc: "The method."},
							{
								Name: "allowedAuthenticators", Type: List, Set: true, By: []string{"key"}, Doc: "The authenticators.",
								Elem: &Field{Type: Mapping, Doc: "One authenticator.", Fields: []Field{
									{Name: "key", Required: true, Enum: []string{"google_otp"}, Open: true, Doc: "Which authenticator it is."},
								}},
							},
						}},
					},
				},
			},
			{
				Name: "stepUp", Type: Mapping, Nullable: true, Doc: "What comes second.",
				Fields: []Field{
					flag("required", "Whether a second proof is needed."),
					words("methods", "The methods that may be used; none for any.", true, "security_question"),
				},
			},
		},
	},
	Field{
		Name: "settings", Type: Mapping, Nullable: true, Needs: "Email auto-enrollment and recovery control", Doc: "How the reset works.",
		Fields: []Field{{
			Name: "allowRecoveryEmailWithoutEnrollment", Type: Boolean, Nullable: true, Empty: false,
			Doc: "Whether a mail is sent to users who haven't enrolled their email.",
		}},
	})

// enrollAction is when users enroll authenticators.
var enrollAction = Field{
	Name: "enroll", Type: Mapping, Types: []string{mfaEnroll}, Doc: "When users enroll authenticators.",
	Fields: []Field{{
		Name: "self", Enum: []string{"CHALLENGE", "LOGIN", "NEVER", "NEVER_INCLUDING_RECOVERY"},
		Doc: "When first asked for one, at the next sign-in, or never.",
	}},
}

// withTypes returns f as a field of objects of these types.
func withTypes(f Field, types ...string) Field {
	f.Types = types
	return f
}
