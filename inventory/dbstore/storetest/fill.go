package storetest

import (
	"fmt"
	"reflect"
	"time"

	"mailfleet/inventory"
)

// filled returns an R whose every field, at any depth, has a value of its own
// that depends on seed, but for what a value of a type that holds itself has two levels
// down. Only Meta stays empty: the store gives it.
func filled[R inventory.Record](seed int) R {
	r := reflect.New(reflect.TypeFor[R]().Elem())
	f := filler{seed: seed, within: map[reflect.Type]int{}}
	f.set(r.Elem(), r.Elem().Type().Name())
	*r.Interface().(R).Base() = inventory.Meta{}
	return r.Interface().(R)
}

type filler struct {
	seed, n int
	within  map[reflect.Type]int // structs being filled
}

func (f *filler) set(v reflect.Value, path string) {
	f.n++
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.Date(2026, 1, f.seed, 0, 0, f.n, 123456789, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%s <&'\"\\ 天气 %d", path, f.seed))
	case reflect.Bool:
		v.SetBool(f.seed%2 == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.seed*1000 + f.n))
	case reflect.Uint8:
		v.SetUint(uint64(f.seed*16 + f.n%16))
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(f.seed*1000+f.n)) // no float holds it
	case reflect.Float64:
		v.SetFloat(float64(f.seed) + float64(f.n)/3)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.set(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.set(key, fmt.Sprintf("%s key %d", path, i))
			f.set(value, fmt.Sprintf("%s value %d", path, i))
			v.SetMapIndex(key, value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.set(v.Elem(), path)
	case reflect.Struct:
		if f.within[v.Type()] == 2 {
			return
		}
		f.within[v.Type()]++
		defer func() { f.within[v.Type()]-- }()
		for i := range v.NumField() {
			f.set(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	default:
		panic(fmt.Sprintf("storetest cannot fill %s, a %s", path, v.Type()))
	}
}
