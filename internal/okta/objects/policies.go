package objects

// The types of policies. Other types have other priorities.
const (
	signOn    = "OKTA_SIGN_ON"
	password  = "PASSWORD"
	mfaEnroll = "MFA_ENROLL"
)

// policies are the policies whose priorities are 1, 2, 3 … without gaps, the default
// one last.
var policies = &Kind{
	Name: "policies", Title: "policy",
	Doc:     "Policies for sessions, passwords and the enrollment of authenticators, in their order.",
	Key:     "name",
	Typed:   true,
	Types:   []string{signOn, password, mfaEnroll},
	Ordered: true,
	Own:     []string{"Default Policy"},
	Fields: []Field{
		{
			Name: "type", Required: true, Immutable: true, Enum: []string{mfaEnroll, signOn, password},
			Doc: "What the policy is about: sessions, passwords, or the enrollment of authenticators.",
		},
		{Name: "name", Required: true, Doc: "The policy's name."},
		{Name: "description", Nullable: true, Empty: "", Doc: "What the policy is for."},
		{Name: "status", Enum: lifecycle.Enum, SystemFixed: true, SystemValue: "ACTIVE", Doc: lifecycle.Doc},
		{
			Name: "conditions", Type: Mapping, Doc: "Whom the policy is for.",
			Fields: []Field{
				{
					Name: "people", Type: Mapping, Doc: "The people that it is for.",
					Fields: []Field{
						{
							Name: "groups", Type: Mapping, Doc: "The groups that it is for.",
							Fields: []Field{references("include", "groups", "The names of the groups.")},
						},
						kept("users", "The users that it is for.", usersWhy),
					},
				},
				{
					Name: "authProvider", Type: Mapping, Types: []string{password}, Doc: "Where the passwords are kept.",
					Fields: []Field{
						{Name: "provider", Enum: []string{"ACTIVE_DIRECTORY", "ANY", "LDAP", "OKTA"}, Doc: "Who keeps the passwords."},
						kept("include", "The directories.", "directories have no names here; what the org has is kept"),
					},
				},
			},
		},
		passwordSettings,
		enrollmentSettings,
		madeByOkta(true),
		kept("priority", "The policy's place among the others.", "the order of the policies in the manifest decides"),
	},
	Oddities: Oddities{Doubt: forNoGroup},
	API: API{
		Collection:     "/api/v1/policies",
		Query:          "type={type}",
		Paged:          true,
		Write:          "PUT",
		Lifecycle:      true,
		CreateInactive: "activate=false",
		Scope:          "okta.policies",
		Events:         []string{"policy.lifecycle."},
	},
}

// forNoGroup says of a policy that it names no group.
func forNoGroup(body map[string]any, created bool) string {
	groups, declared := at(body, []string{"conditions", "people", "groups", "include"}).([]any)
	if len(groups) > 0 || !declared && !created {
		return ""
	}
	return "names no group in conditions.people.groups.include: Okta refuses such a policy, or has it hold for Everyone"
}

// passwordSettings are the settings of a policy for passwords.
var passwordSettings = Field{
	Name: "settings", Type: Mapping, Types: []string{password}, Doc: "What passwords must be like, and how they are recovered.",
	Fields: []Field{
		{
			Name: "password", Type: Mapping, Doc: "What passwords must be like.",
			Fields: []Field{passwordComplexity, passwordAge, passwordLockout, breachedProtection},
		},
		{
			Name: "recovery", Type: Mapping, Doc: "How a forgotten password is recovered.",
			Fields: []Field{{
				Name: "factors", Type: Mapping, Doc: "What a user can prove the identity with.",
				Fields: []Field{
					recovery("okta_call", "A voice call."),
					recovery("okta_sms", "A text message."),
					recovery("okta_email", "A mail.", Field{
						Name: "recoveryToken", Type: Mapping, Doc: "The token in the mail.",
						Fields: []Field{count("tokenLifetimeMinutes", "For how many minutes the token holds.")},
					}),
					recovery("recovery_question", "A question.", Field{
						Name: "complexity", Type: Mapping, Doc: "What the answer must be like.",
						Fields: []Field{count("minLength", "The least number of characters of the answer.")},
					}),
				},
			}},
		},
		{
			Name: "delegation", Type: Mapping, Doc: "What directories do themselves.",
			Fields: []Field{{
				Name: "options", Type: Mapping, Doc: "What directories do themselves.",
				Fields: []Field{flag("skipUnlock", "Whether unlocking a user in Okta leaves the one in Active Directory locked.")},
			}},
		},
	},
}

var passwordComplexity = Field{
	Name: "complexity", Type: Mapping, Doc: "What passwords consist of.",
	Fields: []Field{
		count("minLength", "The least number of characters."),
		count("minLowerCase", "How many lower-case letters there must be at least; 0 for none."),
		count("minUpperCase", "How many upper-case letters there must be at least; 0 for none."),
		count("minNumber", "How many digits there must be at least; 0 for none."),
		count("minSymbol", "How many symbols there must be at least; 0 for none."),
		flag("excludeUsername", "Whether the user name must not be part of it."),
		words("excludeAttributes", "Which of the user's attributes must not be part of it.", true, "firstName", "lastName"),
		{
			Name: "dictionary", Type: Mapping, Doc: "Lists of passwords that are refused.",
			Fields: []Field{{
				Name: "common", Type: Mapping, Doc: "The list of common passwords.",
				Fields: []Field{flag("exclude", "Whether common passwords are refused.")},
			}},
		},
		{
			Name: "maxConsecutiveCharacters", Type: Integer, Min: new(1), Max: new(72), Nullable: true, Needs: identityEngine,
			Doc: "How often one character may be repeated.",
		},
		{Name: "oelStatement", Nullable: true, Empty: "", Needs: identityEngine, Doc: "An expression that blocks words."},
	},
}

var passwordAge = Field{
	Name: "age", Type: Mapping, Doc: "How long passwords last.",
	Fields: []Field{
		count("maxAgeDays", "After how many days a password expires; 0 for never."),
		count("expireWarnDays", "How many days before that the user is warned; 0 for no warning."),
		count("minAgeMinutes", "How many minutes must pass between changes; 0 for none."),
		count("historyCount", "How many passwords must pass before one can come again; 0 for none."),
	},
}

var passwordLockout = Field{
	Name: "lockout", Type: Mapping, Doc: "What happens after wrong passwords.",
	Fields: []Field{
		count("maxAttempts", "After how many wrong passwords the user is locked out; 0 for never."),
		count("autoUnlockMinutes", "After how many minutes the user is unlocked; 0 for never."),
		flag("showLockoutFailures", "Whether the user is told of being locked out."),
		words("userLockoutNotificationChannels", "How the user is told of being locked out.", true, "EMAIL"),
	},
}

var breachedProtection = Field{
	Name: "breachedProtection", Type: Mapping, Nullable: true, Needs: "breached password protection",
	Doc: "What happens to a password that was found elsewhere.",
	Fields: []Field{
		{Name: "expireAfterDays", Type: Integer, Min: new(0), Max: new(10), Nullable: true, Doc: "After how many days the password expires; 0 for at once."},
		{Name: "logoutEnabled", Type: Boolean, Nullable: true, Empty: false, Doc: "Whether the user's sessions end at once."},
		kept("delegatedWorkflowId", "The workflow that is run.", "workflows have no names here; what the org has is kept"),
	},
}

// enrollmentSettings are the settings of a policy for the enrollment of authenticators.
var enrollmentSettings = Field{
	Name: "settings", Type: Mapping, Types: []string{mfaEnroll}, Doc: "Which authenticators users enroll.",
	Fields: []Field{
		{Name: "type", Enum: []string{"AUTHENTICATORS", "FACTORS"}, Doc: "Authenticators (Identity Engine) or factors (Classic Engine)."},
		{
			Name: "authenticators", Type: List, Set: true, By: []string{"key"}, Needs: identityEngine,
			Doc: "The authenticators, each by its key.",
			Elem: &Field{Type: Mapping, Doc: "One authenticator.", Fields: []Field{
				{Name: "key", Required: true, Enum: authenticatorKeys, Open: true, Doc: "Which authenticator it is."},
				kept("id", "Which custom authenticator it is.", "ids differ from org to org; what the org has is kept"),
				{
					Name: "enroll", Type: Mapping, Doc: "Whether users enroll it.",
					Fields: []Field{
						enrollSelf,
						{Name: "autoEnroll", Type: Boolean, Nullable: true, Needs: "Email auto-enrollment and recovery control", Doc: "Whether the user's email is enrolled by itself."},
						gracePeriod,
					},
				},
				{
					Name: "constraints", Type: Mapping, Nullable: true, Doc: "Which makes are allowed.",
					Fields: []Field{words("aaguidGroups", "The groups of security keys that are allowed.", true)},
				},
			}},
		},
		{
			Name: "factors", Type: Mapping, Needs: classicEngine, Doc: "The factors, each by its name.",
			Fields: factorFields(),
		},
	},
}

var enrollSelf = Field{Name: "self", Enum: []string{"NOT_ALLOWED", "OPTIONAL", "REQUIRED"}, Doc: "Whether users can't, may or must enroll it."}

var gracePeriod = Field{
	Name: "gracePeriod", Type: Mapping, Whole: true, Nullable: true, Doc: "How long users can put off the enrollment.",
	Fields: []Field{
		{Name: "type", Required: true, Enum: []string{"BY_DATE_TIME", "BY_SKIP_COUNT"}, Doc: "Until a time, or for a number of times."},
		{Name: "expiry", Doc: "The time, such as 2027-01-01T18:30:45.000Z."},
		{Name: "skipCount", Type: Integer, Min: new(1), Max: new(10), Doc: "The number of times."},
	},
}

// authenticatorKeys are the known keys of authenticators. Okta adds to them.
var authenticatorKeys = []string{
	"custom_app", "custom_otp", "duo", "external_idp", "google_otp", "okta_email", "okta_password", "okta_verify", "onprem_mfa",
	"phone_number", "rsa_token", "security_question", "smart_card_idp", "symantec_vip", "tac", "webauthn", "yubikey_token",
}

// factorFields returns the factors of Classic Engine.
func factorFields() []Field {
	names := []string{
		"duo", "fido_u2f", "fido_webauthn", "google_otp", "hotp", "okta_call", "okta_email", "okta_otp", "okta_password", "okta_push",
		"okta_question", "okta_sms", "rsa_token", "symantec_vip", "yubikey_token",
	}
	fields := make([]Field, len(names))
	for i, name := range names {
		fields[i] = Field{
			Name: name, Type: Mapping, Doc: "One factor.",
			Fields: []Field{
				{Name: "enroll", Type: Mapping, Doc: "Whether users enroll it.", Fields: []Field{enrollSelf}},
				{
					Name: "consent", Type: Mapping, Doc: "What users agree to first.",
					Fields: []Field{{Name: "type", Enum: []string{"NONE", "TERMS_OF_SERVICE"}, Doc: "Whether there are terms of service."}},
				},
			},
		}
	}
	return fields
}

// count returns a number that is not negative.
func count(name, doc string) Field { return Field{Name: name, Type: Integer, Min: new(0), Doc: doc} }

// flag returns a field that is true or false.
func flag(name, doc string) Field { return Field{Name: name, Type: Boolean, Doc: doc} }

// recovery returns a way to recover a password.
func recovery(name, doc string, properties ...Field) Field {
	f := Field{Name: name, Type: Mapping, Doc: doc, Fields: []Field{lifecycle}}
	if len(properties) > 0 {
		f.Fields = append(f.Fields, Field{Name: "properties", Type: Mapping, Doc: "How it works.", Fields: properties})
	}
	return f
}
