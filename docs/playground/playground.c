/* The numeric part of the playground: a network with two inputs, up to three hidden layers and one
   output z, the logit of the probability p = 1 / (1 + e^-z) that a point has the target 1.

   The C code that `net.export_c` writes has the weights as constants. Here they change, so they
   stand in memory. All memory is static, and no library is needed. build.py compiles this file to
   WebAssembly; the test compiles it for the machine and compares it with fastnn. */

enum {
    INPUTS = 2,
    MAX_HIDDEN = 3,
    MAX_LAYERS = MAX_HIDDEN + 1,
    MAX_WIDTH = 16,
    MAX_PARAMS = 3 * MAX_WIDTH + 2 * (MAX_WIDTH + 1) * MAX_WIDTH + MAX_WIDTH + 1,
    MAX_SAMPLES = 512,
    MAX_CELLS = 64 * 64
};

enum { TANH, RELU, SIGMOID };

static int n_layers, n_params, activation_kind, n_correct;
static int widths[MAX_LAYERS + 1];

/* For each layer the weights, a row for each unit, and then the biases: the order of net.params. */
static float params[MAX_PARAMS], gradient[MAX_PARAMS];

/* The input, and the results of each layer for the last point. */
static float values[MAX_LAYERS + 1][MAX_WIDTH];
/* The derivatives of the hidden layers' activations at the last point. */
static float slopes[MAX_LAYERS + 1][MAX_WIDTH];
static float delta[MAX_WIDTH], delta_before[MAX_WIDTH];

static float samples[MAX_SAMPLES][INPUTS + 1]; /* x1, x2, target */
static int order[MAX_SAMPLES];
static float grid[MAX_CELLS];
static float jacobians[2][INPUTS]; /* dz/dx, dp/dx */

float *params_place(void) { return params; }
float *gradient_place(void) { return gradient; }
float *values_place(void) { return values[0]; }
float *samples_place(void) { return samples[0]; }
int *order_place(void) { return order; }
float *grid_place(void) { return grid; }
float *jacobians_place(void) { return jacobians[0]; }

/* Set the widths of the hidden layers and their activation; return the number of parameters. */
int set_network(int n_hidden, int first, int second, int third, int kind)
{
    const int hidden[MAX_HIDDEN] = {first, second, third};
    activation_kind = kind;
    n_layers = n_hidden + 1;
    n_params = 0;
    widths[0] = INPUTS;
    for (int layer = 1; layer <= n_layers; ++layer) {
        widths[layer] = layer == n_layers ? 1 : hidden[layer - 1];
        n_params += (widths[layer - 1] + 1) * widths[layer];
    }
    return n_params;
}

/* For x <= 0, set `power` to 2^k and return (e^r - 1) 2^k, where x = k ln 2 + r and |r| is at most
   about ln 2 / 2. Below -87, and for NaN, x counts as -87. */
static float split_exp(float x, float *power)
{
    const float bounded = x > -87 ? x : -87;
    const int k = (int)(bounded * 1.44269504f - 0.5f);
    const float r = (bounded - (float)k * 0.693115234375f) - (float)k * 3.19461845e-5f;
    const float p = r + r * r * (1.0f / 2 + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120
        + r * (1.0f / 720 + r * (1.0f / 5040))))));
    const union { unsigned bits; float value; } scale = {(unsigned)(k + 127) << 23};
    *power = scale.value;
    return p * scale.value;
}

static float magnitude(float x) { return x < 0 ? -x : x; }

/* Return e^x for x <= 0, with a relative error below 3e-7. */
float exp_of_negative(float x)
{
    float power;
    const float part = split_exp(x, &power);
    return power + part;
}

/* Return ln(1 + x) for x in [0, 1], with a relative error below 3e-7: 2 artanh(x / (2 + x)). */
float log1p_of_unit(float x)
{
    const float s = x / (2 + x), z = s * s;
    return 2 * s * (1 + z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9
        + z * (1.0f / 11 + z * (1.0f / 13)))))));
}

/* Return 1 / (1 + e^-x), with a relative error below 5e-7. */
float sigmoid(float x)
{
    const float e = exp_of_negative(-magnitude(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* Return tanh x, with a relative error below 5e-7. */
float hyperbolic_tangent(float x)
{
    float power;
    const float part = split_exp(-2 * magnitude(x), &power);
    const float minus_one = part + (power - 1); /* e^(-2|x|) - 1 */
    const float y = -minus_one / (2 + minus_one);
    return x < 0 ? -y : y;
}

/* Return the activation, and set its derivative; that of ReLU at 0 is 0, as in fastnn. */
static float activate(float x, float *slope)
{
    float y;
    if (activation_kind == RELU) {
        *slope = x > 0 ? 1 : 0;
        return x > 0 ? x : 0;
    }
    if (activation_kind == SIGMOID) {
        y = sigmoid(x);
        *slope = y * (1 - y);
        return y;
    }
    y = hyperbolic_tangent(x);
    *slope = (1 - y) * (1 + y);
    return y;
}

/* Return the logit of a point; keep the values and the slopes of all layers. */
float forward(float x1, float x2)
{
    const float *w = params;
    values[0][0] = x1;
    values[0][1] = x2;
    for (int layer = 1; layer <= n_layers; ++layer) {
        const int in = widths[layer - 1], out = widths[layer];
        const float *bias = w + in * out;
        for (int unit = 0; unit < out; ++unit) {
            float sum = bias[unit];
            for (int i = 0; i < in; ++i)
                sum += *w++ * values[layer - 1][i];
            values[layer][unit] = layer == n_layers ? sum : activate(sum, &slopes[layer][unit]);
        }
        w = bias + out;
    }
    return values[n_layers][0];
}

/* After `forward`: from dl/dz of the output, go back through the layers. Add the gradient by each
   parameter times `share` to `gradient`; `delta` ends as the derivatives by the input. */
static void backward(float output_delta, float share)
{
    int place = n_params;
    delta[0] = output_delta;
    for (int layer = n_layers; layer >= 1; --layer) {
        const int in = widths[layer - 1], out = widths[layer];
        place -= (in + 1) * out;
        for (int i = 0; i < in; ++i)
            delta_before[i] = 0;
        for (int unit = 0; unit < out; ++unit) {
            for (int i = 0; i < in; ++i) {
                gradient[place + unit * in + i] += share * delta[unit] * values[layer - 1][i];
                delta_before[i] += delta[unit] * params[place + unit * in + i];
            }
            gradient[place + in * out + unit] += share * delta[unit];
        }
        for (int i = 0; i < in; ++i)
            delta[i] = layer == 1 ? delta_before[i] : delta_before[i] * slopes[layer - 1][i];
    }
}

/* Return the mean loss -t ln p - (1 - t) ln(1 - p) of the n samples from `first` on in `order`, and
   set `gradient` to its gradient. It also counts the samples on the right side of p = 1/2. */
float loss_and_gradient(int first, int n)
{
    float loss = 0;
    n_correct = 0;
    for (int i = 0; i < n_params; ++i)
        gradient[i] = 0;
    for (int i = first; i < first + n; ++i) {
        const float *sample = samples[order[i]], target = sample[INPUTS];
        const float z = forward(sample[0], sample[1]);
        /* ln(1 + e^z) - t z without overflow */
        loss += (z > 0 ? z : 0) - target * z + log1p_of_unit(exp_of_negative(-magnitude(z)));
        n_correct += (z > 0) == (target > 0.5f);
        backward(sigmoid(z) - target, 1.0f / (float)n);
    }
    return loss / (float)n;
}

int correct(void) { return n_correct; }

/* One step of gradient descent. */
void step(float rate)
{
    for (int i = 0; i < n_params; ++i)
        params[i] -= rate * gradient[i];
}

/* Set the Jacobians dz/dx and dp/dx at a point, and the values of all layers. */
void jacobian(float x1, float x2)
{
    const float p = sigmoid(forward(x1, x2));
    backward(1, 0); /* share 0 leaves the gradient as it is */
    for (int i = 0; i < INPUTS; ++i) {
        jacobians[0][i] = delta[i];
        jacobians[1][i] = p * (1 - p) * delta[i];
    }
}

/* Set `grid` to p in the middles of size x size cells of [low, high]^2, from the top row down. */
void heat_map(int size, float low, float high)
{
    const float cell = (high - low) / (float)size;
    for (int row = 0; row < size; ++row)
        for (int column = 0; column < size; ++column)
            grid[row * size + column] = sigmoid(forward(
                low + ((float)column + 0.5f) * cell, high - ((float)row + 0.5f) * cell));
}
