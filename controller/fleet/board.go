package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/controller/ops"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
)

// watched are the kinds that a desired state is made of.
var watched = []inventory.Kind{
	inventory.Servers, inventory.Services, inventory.Domains, inventory.Accounts, inventory.Operations, inventory.Rules,
	inventory.Plans, inventory.Tenants, inventory.Groups, inventory.DKIMKeys, inventory.People,
}

// board holds every server's desired state and keeps it current from the
// store's events, so that thousands of waiting agents cost no queries.
type board struct {
	store    inventory.Store
	pool     api.Gossip
	interval inventory.Duration
	seal     *seal.Key
	log      *slog.Logger

	mu      sync.Mutex
	docs    map[inventory.ID]*document
	homes   map[inventory.ID]home // by account
	strayed bool                  // homes are others than listed
	listed  []api.DesiredHome     // homes as documents have them, shared by all
	partial bool                  // listed are not all
	index   uint64                // the docs hold everything up to this
	moved   chan struct{}         // closed and replaced when index moves
	pending map[inventory.ID]bool // servers with steps that were never delivered
}

// document is one server's desired state.
type document struct {
	desired api.Desired
	settled uint64        // index of its last change in more than orders
	dirty   bool          // desired is another than its index tells
	ordered bool          // it has an order that its index does not tell of
	changed chan struct{} // closed and replaced when desired changes
}

// put sets a part of a document. Most events change no document, and a fleet
// has thousands: what did not change costs one comparison.
func put[T any](doc *document, part *T, value T) {
	if !reflect.DeepEqual(*part, value) {
		*part, doc.dirty = value, true
	}
}

// order sets a document's orders. An agent that has more of them need not be
// told: what it was done with is why they are gone.
func (doc *document) order(orders []api.Order) {
	for _, o := range orders {
		if !slices.ContainsFunc(doc.desired.Orders, func(have api.Order) bool { return reflect.DeepEqual(have, o) }) {
			doc.ordered = true
		}
	}
	doc.desired.Orders = orders
}

func newBoard(store inventory.Store, pool api.Gossip, key *seal.Key, interval time.Duration, log *slog.Logger) *board {
	return &board{
		store: store, pool: pool, seal: key, interval: inventory.Duration(interval), log: log,
		docs: make(map[inventory.ID]*document), homes: make(map[inventory.ID]home), moved: make(chan struct{}),
		pending: make(map[inventory.ID]bool),
	}
}

// load reads everything afresh.
func (b *board) load(ctx context.Context) error {
	all := make(map[inventory.Kind]map[inventory.ID]bool)
	for _, k := range watched {
		all[k] = nil
	}
	return b.refresh(ctx, all, 0)
}

// watch follows the store until ctx ends.
func (b *board) watch(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		b.mu.Lock()
		index := b.index
		b.mu.Unlock()
		b.store.Wait(ctx, index, watched...)
		if ctx.Err() != nil {
			break
		}
		if err := b.follow(ctx, index); err != nil && ctx.Err() == nil {
			log.Error("bring desired states up to date", "err", err)
			select { // the database is ailing: do not spin
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// follow applies the events after index.
func (b *board) follow(ctx context.Context, index uint64) error {
	events, kept, err := b.store.Events(ctx, index, 1000)
	if err != nil {
		return err
	}
	if !kept {
		return b.load(ctx)
	}
	touched := make(map[inventory.Kind]map[inventory.ID]bool)
	for _, e := range events {
		index = e.Index
		if !slices.Contains(watched, e.Kind) {
			continue
		}
		if touched[e.Kind] == nil {
			touched[e.Kind] = make(map[inventory.ID]bool)
		}
		touched[e.Kind][e.ID] = true
	}
	return b.refresh(ctx, touched, index)
}

// refresh reads again what was touched; a nil set of ids means all of the kind.
// The docs then hold everything up to index, or to the snapshot's own when 0.
func (b *board) refresh(ctx context.Context, touched map[inventory.Kind]map[inventory.ID]bool, index uint64) error {
	return b.store.View(ctx, func(tx inventory.Tx) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if index == 0 {
			index = tx.Index()
		}
		for _, step := range []struct {
			kind inventory.Kind
			read func(inventory.Tx, map[inventory.ID]bool, map[inventory.ID]*document) error
		}{ // servers first: the rest hang on their documents
			{inventory.Servers, b.readServers}, {inventory.Services, b.readServices},
			{inventory.Domains, b.readDomains}, {inventory.Accounts, b.readAccounts}, {inventory.Domains, b.readDomainTerms},
			{inventory.Plans, b.readTerms}, {inventory.Tenants, b.readTerms},
			{inventory.Plans, b.readDomains}, {inventory.Tenants, b.readDomains}, {inventory.DKIMKeys, b.readDomains}, {inventory.People, b.readDomains},
			{inventory.Groups, b.readGroups}, {inventory.Rules, b.readRules}, {inventory.Operations, b.readOrders},
		} {
			if ids, ok := touched[step.kind]; ok {
				if err := step.read(tx, ids, b.docs); err != nil {
					return err
				}
			}
		}
		b.tellHomes()
		spread := spreadOf(len(b.docs))
		for _, d := range b.docs {
			if d.desired.Spread != spread {
				d.desired.Spread, d.dirty = spread, true
			}
			if d.dirty {
				d.settled = index
			}
			if d.dirty || d.ordered {
				d.desired.Index, d.dirty, d.ordered = index, false, false
				close(d.changed)
				d.changed = make(chan struct{})
			}
		}
		b.index = index
		close(b.moved)
		b.moved = make(chan struct{})
		return nil
	})
}

// linksPerSecond is how fast a fleet whose links have all broken should come
// back: each is a handshake and a report, and the controller has other work.
const linksPerSecond = 320

// spreadOf is the time over which n agents should come back, in steps, so that
// not every server that is added changes all documents.
func spreadOf(n int) inventory.Duration {
	spread := time.Second
	for float64(n) > spread.Seconds()*linksPerSecond {
		spread *= 2
	}
	return inventory.Duration(spread)
}

// wait blocks until the docs hold everything up to index.
func (b *board) wait(ctx context.Context, index uint64) error {
	for {
		b.mu.Lock()
		at, moved := b.index, b.moved
		b.mu.Unlock()
		if at >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errNoServer means the server is not in the fleet (any more).
var errNoServer = errors.New("this server is not in the fleet")

// next waits for a document newer than after, and tells at which index it last
// changed in more than its orders. The document has index 0 when ctx ended first.
// An after from the future (a restored database) is answered at once.
func (b *board) next(ctx context.Context, id inventory.ID, after uint64) (d api.Desired, settled uint64, err error) {
	for {
		b.mu.Lock()
		doc := b.docs[id]
		if doc == nil {
			b.mu.Unlock()
			return api.Desired{}, 0, errNoServer
		}
		d, settled, changed, at := doc.desired, doc.settled, doc.changed, b.index
		b.mu.Unlock()
		if d.Index > after || after > at {
			return d, settled, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return api.Desired{}, 0, nil
		}
	}
}

// settled is the index at which a server's document last changed in more than
// its orders.
func (b *board) settled(id inventory.ID) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if doc := b.docs[id]; doc != nil {
		return doc.settled
	}
	return 0
}

// undelivered tells whether the server has steps nobody was handed yet.
func (b *board) undelivered(id inventory.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending[id]
}

// The read functions below bring the documents among docs up to what the store
// holds of one kind: of all of it when ids is nil.

func (b *board) readServers(tx inventory.Tx, ids map[inventory.ID]bool, _ map[inventory.ID]*document) error {
	list, err := these(tx.Servers(), ids)
	if err != nil {
		return err
	}
	fresh := make(map[inventory.ID]*document)
	for _, s := range list {
		doc := b.docs[s.ID]
		if s.State == inventory.ServerRemoved {
			if doc != nil {
				delete(b.docs, s.ID)
				b.strayed = true
				close(doc.changed) // whoever waits learns that it is gone
			}
			continue
		}
		if doc == nil {
			doc = &document{changed: make(chan struct{}), dirty: true}
			b.docs[s.ID], fresh[s.ID], b.strayed = doc, doc, true
		}
		put(doc, &doc.desired.Server, api.DesiredServer{ID: s.ID, Name: s.Name, Address: s.Address, Region: s.Region})
		doc.desired.Interval, doc.desired.Gossip = b.interval, b.pool
	}
	if len(fresh) == 0 {
		return nil
	}
	for _, read := range []func(inventory.Tx, map[inventory.ID]bool, map[inventory.ID]*document) error{
		b.readServices, b.readDomains, b.readAccounts, b.readGroups, b.readRules, b.readOrders,
	} {
		if err := read(tx, nil, fresh); err != nil {
			return err
		}
	}
	return nil
}

// these reads the records with the ids that are still there; all when ids is nil.
func these[R inventory.Record](table inventory.Table[R], ids map[inventory.ID]bool) (list []R, err error) {
	if ids == nil {
		list, _, err = table.List(inventory.Query{})
		return list, err
	}
	texts := make([]string, 0, len(ids))
	for id := range ids {
		texts = append(texts, string(id))
	}
	for some := range slices.Chunk(texts, 500) {
		page, _, err := table.List(inventory.Query{Where: map[string][]string{"id": some}})
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
	}
	return list, nil
}

// readServices reads the services of the servers that the touched ones are on.
// Status changes pass here too, so this is not done for the whole fleet.
func (b *board) readServices(tx inventory.Tx, ids map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	if ids != nil {
		on := make(map[inventory.ID]*document)
		touched, err := these(tx.Services(), ids)
		if err != nil {
			return err
		}
		if len(touched) < len(ids) {
			return b.readServices(tx, nil, docs) // deleted: nobody knows from where
		}
		for _, s := range touched {
			if doc := docs[s.Server]; doc != nil {
				on[s.Server] = doc
			}
		}
		docs = on
	}
	by := make(map[inventory.ID][]api.DesiredService)
	add := func(q inventory.Query) error {
		list, _, err := tx.Services().List(q)
		for _, s := range list {
			by[s.Server] = append(by[s.Server], api.DesiredService{
				Name: s.Name, Kind: s.Kind, Want: s.Want, Drained: s.Drained, ServiceConfig: s.ServiceConfig,
			})
		}
		return err
	}
	if few := 500; len(docs) <= few {
		where := make([]string, 0, len(docs))
		for id := range docs {
			where = append(where, string(id))
		}
		if len(where) == 0 {
			return nil
		}
		if err := add(inventory.Query{Where: map[string][]string{"server": where}}); err != nil {
			return err
		}
	} else if err := add(inventory.Query{}); err != nil {
		return err
	}
	for id, doc := range docs {
		put(doc, &doc.desired.Services, by[id])
	}
	return nil
}

func (b *board) readRules(tx inventory.Tx, _ map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	list, _, err := tx.Rules().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, doc := range docs {
		var rules []inventory.Rule
		for _, r := range list {
			if r.Enabled && r.Metric != alerts.ServerUp && (len(r.Servers) == 0 || slices.Contains(r.Servers, doc.desired.Server.Name)) {
				rules = append(rules, *r)
			}
		}
		put(doc, &doc.desired.Rules, rules)
	}
	return nil
}

func (b *board) readOrders(tx inventory.Tx, _ map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	list, err := ops.Open(tx)
	if err != nil {
		return err
	}
	powers := make(map[inventory.ID]*inventory.Power)
	if len(list) > 0 {
		drivers, _, err := tx.Powers().List(inventory.Query{})
		if err != nil {
			return err
		}
		for _, p := range drivers {
			powers[p.Server] = p
		}
	}
	name := func(id inventory.ID) string {
		if doc := b.docs[id]; doc != nil {
			return doc.desired.Server.Name
		}
		return string(id)
	}
	orders := make(map[inventory.ID][]api.Order)
	b.pending = make(map[inventory.ID]bool)
	for _, op := range list {
		for id, o := range ops.Orders(op, name, func(id inventory.ID) *inventory.Power { return powers[id] }) {
			orders[id] = append(orders[id], o...)
		}
		for _, id := range ops.Undelivered(op) {
			b.pending[id] = true
		}
	}
	for id, doc := range docs {
		doc.order(orders[id])
	}
	return nil
}

// encode stamps the orders with the controller's clock and writes the document.
func encode(d api.Desired, now time.Time) ([]byte, error) {
	d.Orders = slices.Clone(d.Orders)
	for i := range d.Orders {
		d.Orders[i].Now = now.UTC()
	}
	return json.Marshal(d)
}
