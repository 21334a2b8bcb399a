package inventory

import (
	"maps"
	"testing"
)

func TestTheNearestThatSaysSomethingHolds(t *testing.T) {
	account := &Account{Limits: Limits{Quota: 1}, Features: map[Feature]bool{FeaturePOP3: true}}
	plan := &Plan{Limits: Limits{Quota: 2, Messages: 2}, Features: map[Feature]bool{FeaturePOP3: false, FeatureIMAP: false}}
	domain := &Domain{Limits: Limits{Quota: 3, Messages: 3, Recipients: 3, SentAnHour: 3}}
	domainPlan := &Plan{Limits: Limits{Recipients: 4, SentADay: 4, SentAnHour: 4}, Features: map[Feature]bool{FeatureIMAP: true, FeatureSMTP: false}}
	tenantPlan := &Plan{Limits: Limits{SentADay: 5, MessageSize: 5, Attachment: 5, SMSAMonth: 5, MessagesAnHour: 5}, Features: map[Feature]bool{FeatureSMTP: true, FeatureSMS: false}}
	got := TermsOf(account, plan, domain, domainPlan, tenantPlan)
	if want := (Limits{Quota: 1, Messages: 2, Recipients: 3, SentADay: 4, MessageSize: 5, Attachment: 5, SMSAMonth: 5, SentAnHour: 3, MessagesAnHour: 5}); got.Limits != want {
		t.Errorf("limits %+v, want %+v", got.Limits, want)
	}
	want := map[Feature]bool{}
	for _, f := range Features {
		want[f] = true
	}
	want[FeatureIMAP], want[FeatureSMTP], want[FeatureSMS] = false, false, false
	if !maps.Equal(got.Features, want) {
		t.Errorf("features %v, want %v", got.Features, want)
	}
	free := TermsOf(nil, nil, nil, nil, nil)
	if free.Limits != (Limits{}) || len(free.Features) != len(Features) || !free.Features[FeatureDisk] {
		t.Errorf("nobody says anything: %+v", free)
	}
}

func TestNobodyGrantsMoreThanThereIs(t *testing.T) {
	terms := TermsOf(nil, nil, nil, nil, &Plan{Limits: Limits{Quota: 10, SMSAMonth: 5, MessagesAnHour: 7}, Features: map[Feature]bool{FeatureSMS: false}})
	for field, c := range map[string]struct {
		limits   Limits
		features map[Feature]bool
	}{
		"":                        {Limits{Quota: 10, Messages: 1 << 40}, map[Feature]bool{FeatureSMS: false, FeatureIMAP: true}},
		"limits.quota":            {Limits{Quota: 11}, nil},
		"limits.sms_a_month":      {Limits{SMSAMonth: 6}, nil},
		"limits.messages_an_hour": {Limits{MessagesAnHour: 8}, nil},
		"features.sms":            {Limits{}, map[Feature]bool{FeatureSMS: true}},
	} {
		err := terms.Grants(c.limits, c.features)
		e, _ := err.(*Error)
		if field == "" && err != nil || field != "" && (e == nil || e.Field != field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (Limits{Recipients: -1}).Check(); !Is(err, Invalid) {
		t.Errorf("a negative limit: %v", err)
	}
	if err := CheckFeatures(map[Feature]bool{"teleport": true}); !Is(err, Invalid) {
		t.Errorf("an unknown feature: %v", err)
	}
}
