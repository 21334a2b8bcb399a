package dbstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// eventRow is one change. Versions have no gaps.
type eventRow struct {
	bun.BaseModel `bun:"table:events,alias:e"`

	Version uint64
	Time    int64 // microseconds since 1970
	Kind    inventory.Kind
	Verb    inventory.Verb
	Record  inventory.ID
}

// changesRow is a kind's newest version. It outlives the events.
type changesRow struct {
	bun.BaseModel `bun:"table:changes,alias:c"`

	Kind    inventory.Kind
	Version uint64
}

// lastIndex is the last version given: the newest of all kinds.
func lastIndex(ctx context.Context, db bun.IDB) (index uint64, err error) {
	err = db.NewSelect().Model((*changesRow)(nil)).ColumnExpr("max(version)").Scan(ctx, &index)
	return index, err
}

// flush writes what wrote has gathered. It fails when anything has failed before.
func (t *tx) flush() error {
	if t.err != nil {
		return t.err
	}
	for rows := range slices.Chunk(t.events, 1000) {
		if _, err := t.db.NewInsert().Model(&rows).Exec(t.ctx); err != nil {
			return t.fail(err)
		}
	}
	for kind, version := range t.changed {
		if _, err := t.db.NewUpdate().Model((*changesRow)(nil)).
			Set("version = ?", version).Where("kind = ?", kind).Exec(t.ctx); err != nil {
			return t.fail(err)
		}
	}
	return nil
}

// newest is the version of a kind's last change.
func (t *tx) newest(kind inventory.Kind) (version uint64, err error) {
	if v, ok := t.changed[kind]; ok {
		return v, nil
	}
	err = t.db.NewSelect().Model((*changesRow)(nil)).Column("version").Where("kind = ?", kind).Scan(t.ctx, &version)
	return version, t.fail(err)
}

// Events implements inventory.Store. An index newer than the store's own comes
// from another history, a backup put back say: that, too, is not ok.
func (s *Store) Events(ctx context.Context, after uint64, limit int) (events []inventory.Event, ok bool, err error) {
	if limit < 1 {
		return nil, false, inventory.FieldErrorf("limit", "limit %d must be at least 1", limit)
	}
	err = s.snapshot(ctx, func(t *tx) error {
		events, ok, err = t.eventsAfter(after, limit)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return events, ok, nil
}

func (t *tx) eventsAfter(after uint64, limit int) ([]inventory.Event, bool, error) {
	last, err := lastIndex(t.ctx, t.db)
	if err != nil {
		return nil, false, t.fail(err)
	}
	oldest := last + 1
	if err := t.db.NewSelect().Model((*eventRow)(nil)).
		ColumnExpr("coalesce(min(version), ?)", oldest).Scan(t.ctx, &oldest); err != nil {
		return nil, false, t.fail(err)
	}
	if after > last || after+1 < oldest {
		return nil, false, nil
	}
	var rows []eventRow
	if err := t.db.NewSelect().Model(&rows).
		Where("version > ?", after).Order("version").Limit(int64(limit)).Scan(t.ctx); err != nil {
		return nil, false, t.fail(err)
	}
	events := make([]inventory.Event, len(rows))
	for i, r := range rows {
		events[i] = inventory.Event{Index: r.Version, Time: time.UnixMicro(r.Time).UTC(), Kind: r.Kind, Verb: r.Verb, ID: r.Record}
	}
	return events, true, nil
}

// retention is how many events are kept and for how long: one is dropped when
// it is past either limit.
type retention struct {
	count uint64
	age   time.Duration
	every uint64 // versions from one look to the next
}

var keepEvents = retention{count: 100_000, age: 7 * 24 * time.Hour, every: 1000}

// prune drops old events when the versions from began to index pass a multiple
// of every. Events are in order of time, so it reads only what it drops and
// the first it keeps.
func (k retention) prune(db bun.Tx, began, index uint64) error {
	if began/k.every == index/k.every {
		return nil
	}
	ctx := context.Background()
	var first uint64 // to keep
	err := db.NewSelect().Model((*eventRow)(nil)).Column("version").
		Where("time >= ?", time.Now().Add(-k.age).UnixMicro()).
		Order("version").Limit(1).Scan(ctx, &first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if index >= k.count {
		first = max(first, index-k.count+1)
	}
	_, err = db.NewDelete().Model((*eventRow)(nil)).Where("version < ?", first).Exec(ctx)
	return err
}
